"""The address of a client in one form, whichever server or proxy wrote it, for the throttle."""

from ipaddress import IPv6Address, ip_address, ip_network


def canonical_address(text: str) -> str:
    """Return an IP address in canonical form, or an empty text for what is no IP address.

    Servers and proxies write the same client as ``192.0.2.1``, ``192.0.2.1:40001``, ``::ffff:192.0.2.1``,
    ``[2001:DB8::1]:40001`` or ``fe80::1%eth0``. Ports, brackets and zones are taken off, and an IPv4 address that is
    mapped into IPv6 is unwrapped.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    text = text.partition("%")[0]
    for candidate in (text, text.rpartition(":")[0]):
        try:
            address = ip_address(candidate)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return str(mapped or address)
    return ""


def network_of(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address.

    An IPv6 customer has at least a /64. All that is no address is one client, so that nobody escapes a limit by sending
    something new each time.
    """
    canonical = canonical_address(address)
    return str(ip_network(f"{canonical}/64", strict=False)) if ":" in canonical else canonical
