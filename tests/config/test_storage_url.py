"""The setting STORAGE with a database: the secret key that it needs, and the password that nobody sees."""

import pytest

from deploymetrics.config.loading import load_settings, read_settings
from deploymetrics.config.settings import display_value
from deploymetrics.config.storage_url import without_password
from deploymetrics.errors import SettingError

URL = "postgresql+psycopg://u:secret@db1/d"


def test_a_secret_key_has_to_be_set(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPLOYMETRICS_STORAGE", URL)
    with pytest.raises(SettingError, match="SECRET_KEY is not set"):
        load_settings(tmp_path)
    assert not (tmp_path / "secret_key").exists()
    monkeypatch.setenv("DEPLOYMETRICS_SECRET_KEY", "0123456789abcdef")
    assert load_settings(tmp_path)["STORAGE"] == URL


@pytest.mark.parametrize(
    "url, is_private",
    [(URL, True), ("postgresql+psycopg://u@h/d?password=a", True), (URL.replace(":secret", ""), False)],
)
def test_a_password_is_only_taken_from_a_private_file(tmp_path, url, is_private):
    path = tmp_path / "config.py"
    path.write_text(f"STORAGE = {url!r}\n")
    path.chmod(0o644)
    if is_private:
        with pytest.raises(SettingError, match="config.py holds STORAGE and others may read it"):
            read_settings(tmp_path)
        path.chmod(0o600)
    assert read_settings(tmp_path)["STORAGE"] == url


@pytest.mark.parametrize(
    "url, shown",
    [
        ("files:", "files:"),
        (URL, "postgresql+psycopg://u:...@db1/d"),
        ("postgresql+psycopg://u:a/b@c@h:1/d", "postgresql+psycopg://u:...@h:1/d"),
        (
            "postgresql+psycopg://u@/d?host=a:1&password=x%26y&host=b",
            "postgresql+psycopg://u@/d?host=a:1&password=...&host=b",
        ),
        ("postgresql+psycopg://u@h/d?SSLPASSWORD=x", "postgresql+psycopg://u@h/d?SSLPASSWORD=..."),
        ("postgresql+psycopg://h:1/d", "postgresql+psycopg://h:1/d"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown
    assert display_value("STORAGE", url) == repr(shown)
