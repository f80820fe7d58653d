"""The tag platform in other alphabets, in signs made of letters, with fillers in it, and turned around."""

import pytest
from problems import assert_problem

from deploymetrics.documents.reserved import is_reserved

SPELLINGS = {
    "small capitals": "ᴘʟᴀᴛꜰᴏʀᴍ",
    "Cherokee": "ᏢᏞᎪᎢFᏫᏒᎷ",
    "Cherokee with its other R": "PLATFOᎡM",
    "small Cherokee": "ꮲꮮꭺꭲfꮻꮢꮇ",
    "Lisu": "ꓑꓡꓮꓔꓝꓳꓣꓟ",
    "Canadian syllables": "ᑭᒪᗅTᖴOᖇM",
    "circles": "ⓟⓛⓐⓣⓕⓞⓡⓜ",
    "parentheses": "⒫⒧⒜⒯⒡⒪⒭⒨",
    "capitals in parentheses": "🄟🄛🄐🄣🄕🄞🄡🄜",
    "squares": "🄿🄻🄰🅃🄵🄾🅁🄼",
    "filled circles": "🅟🅛🅐🅣🅕🅞🅡🅜",
    "filled squares": "🅿🅻🅰🆃🅵🅾🆁🅼",
    "flags": "🇵🇱🇦🇹🇫🇴🇷🇲",
    "long s": "platſorm",
    "stroked letters": "płaŧførm",
    "turned a": "plɐtform",
    "hooked letters": "ƥlaƭƒorm",
    "a letter with a tilde in it": "ᵱlatform",
    "a full stop": "platform.",
    "brackets": "[platform]",
    "quotation marks": "“platform”",
    "a dash": "platform–",
    "dagger": "pla†form",
    "Hangul filler": "plat\u3164form",
    "Hangul initial filler": "plat\u115fform",
    "Hangul medial filler": "plat\u1160form",
    "narrow Hangul filler": "plat\uffa0form",
    "blank Braille": "\u2800platform",
    "turned around": "\u202emroftalp",
    "turned around and back": "\u202emroftalp\u202c",
    "turned around in capitals": "\u202eMROFTALP",
    "turned around and encoded": "%E2%80%AEmroftalp",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_what_reads_as_platform_is_reserved(master, spelling):
    assert is_reserved(spelling)
    assert_problem(master.post(f"/api/deploymentmetrics/{spelling}", data="1"), 403, "reserved-tag")


@pytest.mark.parametrize("tag", ["mroftalp", "plat\u202eform2", "\u3164", "(p)(l)", "ᏢᏞᎪᎢ", "platform.2", "-"])
def test_what_does_not_is_free(master, tag):
    assert not is_reserved(tag)
    assert master.post(f"/api/deploymentmetrics/{tag}", data="1").status_code == 200
