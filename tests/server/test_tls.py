"""Which TLS is spoken: Mozilla's intermediate list, and nothing else."""

import ssl

import pytest
from serving import make_certificate

from deploymetrics.server.tls import CIPHERS, tls_context

WEAK = ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384"]


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return tls_context(*make_certificate(tmp_path_factory.mktemp("tls")))


def spoken(context, version=None, ciphers=None):
    """(version, cipher) that a client with this one agrees on with the server, without a network."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    if version:
        client.minimum_version = client.maximum_version = version
    client.set_ciphers(f"{ciphers or 'DEFAULT'}:@SECLEVEL=0")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return ends[0].version(), ends[0].cipher()[0]


def test_tls_1_3_and_1_2_are_spoken(context):
    assert spoken(context)[0] == "TLSv1.3"
    assert spoken(context, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_nothing_older_is(context, version):
    with pytest.raises(ssl.SSLError):
        spoken(context, version)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_the_ciphers_of_the_list_are(context, cipher):
    if "-RSA-" in cipher:  # needs another certificate
        assert cipher in {each["name"] for each in context.get_ciphers()}
    else:
        assert spoken(context, ssl.TLSVersion.TLSv1_2, cipher)[1] == cipher


@pytest.mark.parametrize("cipher", WEAK)
def test_no_other_cipher_is(context, cipher):
    with pytest.raises(ssl.SSLError):
        spoken(context, ssl.TLSVersion.TLSv1_2, cipher)
