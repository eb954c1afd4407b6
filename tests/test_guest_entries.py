"""Guest entries as iommufd takes them: accepted or refused, and the entry that hardware gets.

Facts: Linux 7.2, arm-smmu-v3-iommufd.c (STRTAB_STE_0_NESTING_ALLOWED, STRTAB_STE_1_NESTING_ALLOWED) and
amd/nested.c (validate_gdte_nested, set_dte_nested); STE of Arm IHI 0070 5.2; DTE of the AMD specification
48882, as Linux's DTE_* masks have it.
"""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi.errors import AbiError, UsageError
from iommu_abi.nesting import amdvi, smmuv3

U64 = st.integers(0, 2**64 - 1)

# ---------------------------------------------------------------- SMMUv3

STAGE_1 = 1 | 5 << 1
HOST_STE = (1 | 6 << 1, 1 << 44, 24 | 1 << 51 | 1 << 58, 0x9000, 0, 0, 0, 0)


def ste(word0, word1=0):
    return smmuv3.accept(struct.pack("<2Q", word0, word1))


def dte(q0=0, q1=0, q2=0, q3=0, **how):
    return amdvi.accept(struct.pack("<4Q", q0, q1, q2, q3), **how)


def refused(call, number, at=None, got=None):
    with pytest.raises(AbiError) as caught:
        call()
    assert caught.value.errno == number
    assert at is None or caught.value.offset == at
    assert got is None or caught.value.got == got
    return str(caught.value)


@pytest.mark.parametrize("bit", range(64))
def test_word_0_of_a_guests_ste_has_v_config_s1fmt_s1contextptr_and_s1cdmax(bit):
    allowed = bit == 0 or 4 <= bit <= 51 or bit >= 59
    if bit in (1, 2, 3):
        return  # Config: tested by value
    if allowed:
        assert ste(STAGE_1 | 1 << bit).word0 >> bit & 1
    else:
        refused(lambda: ste(STAGE_1 | 1 << bit), errno.EIO, at=0)


@pytest.mark.parametrize("bit", range(64))
def test_word_1_of_a_guests_ste_has_s1dss_to_s1csh_s1stalld_and_eats(bit):
    if bit <= 7 or bit in (27, 28):
        assert ste(STAGE_1, 1 << bit).word1 == 1 << bit
    else:  # 29: EATS 2, split-stage ATS
        refused(lambda: ste(STAGE_1, 1 << bit), errno.EIO, at=8)


@pytest.mark.parametrize("config", range(8))
def test_a_guest_may_abort_bypass_or_use_stage_1(config):
    if config in (0, 4, 5):
        assert ste(1 | config << 1).config == config
    else:
        refused(lambda: ste(1 | config << 1), errno.EIO, got=config)


@pytest.mark.parametrize("eats", range(4))
def test_ats_is_off_or_full(eats):
    if eats < 2:
        ste(STAGE_1, eats << 28)
    else:
        assert "0 off or 1 full ATS (EIO)" in refused(lambda: ste(STAGE_1, eats << 28), errno.EIO, got=eats)


@given(U64, U64)
def test_an_invalid_ste_aborts_whatever_else_it_says(word0, word1):
    guest = ste(word0 & ~1, word1)

    assert (guest.word0, guest.word1) == (0, 0)
    assert guest.physical(HOST_STE) == (1, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("length", [0, 8, 15, 17, 64])
def test_a_payload_of_another_length_is_invalid(length):
    # iommu_copy_struct_from_user(): too short and too long are both EINVAL in 7.2
    refused(lambda: smmuv3.accept(bytes(length)), errno.EINVAL, got=length)
    refused(lambda: amdvi.accept(bytes(length)), errno.EINVAL, got=length)


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_accepted_or_refused_with_an_errno(data, five):
    for call in (lambda: smmuv3.accept(data), lambda: amdvi.accept(data, five_levels=five)):
        try:
            call()
        except AbiError as error:
            assert error.errno in (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP)  # noqa: PT017


def test_words_are_little_endian_on_every_host():
    assert smmuv3.accept(bytes([0x0B, 0x30, *[0] * 14])).word0 == 0x300B


def test_stage_1_of_a_guest_becomes_nested_over_the_hosts_stage_2():
    guest = ste(STAGE_1 | 1 << 4 | 0x3000 | 6 << 59, 0b10 | 1 << 28 | 1 << 27)

    made = guest.physical(HOST_STE)

    assert made[0] == 1 | 7 << 1 | 1 << 4 | 0x3000 | 6 << 59
    assert made[1] == 1 << 44 | 0b10 | 1 << 28 | 1 << 27 | 1 << 19  # MEV
    assert made[2:] == HOST_STE[2:]


@pytest.mark.parametrize("config", [0, 4, 5])
def test_bits_beside_config_do_not_matter_to_it(config):
    assert ste(1 | config << 1 | 3 << 4).config == config


def test_bypass_of_a_guest_leaves_the_hosts_stage_2_alone():
    assert ste(1 | 4 << 1).physical(HOST_STE) == HOST_STE


def test_abort_of_a_guest_aborts():
    assert ste(1).physical(HOST_STE) == (1, 0, 0, 0, 0, 0, 0, 0)


def test_ats_of_a_nested_stream_is_the_guests_choice():
    host = (HOST_STE[0], HOST_STE[1] | 1 << 28, *HOST_STE[2:])

    assert ste(STAGE_1).physical(host)[1] >> 28 & 3 == 0


@pytest.mark.parametrize("host", [HOST_STE[:2], (0, *HOST_STE[1:]), (1 | 5 << 1, *HOST_STE[1:])])
def test_a_host_without_stage_2_cannot_nest(host):
    with pytest.raises(UsageError, match=r"the host's STE: expected 8 words"):
        ste(STAGE_1).physical(host)


@given(U64, U64)
def test_no_guest_changes_a_word_of_stage_2(word0, word1):
    try:
        made = ste(word0, word1).physical(HOST_STE)
    except AbiError as error:
        assert error.errno == errno.EIO  # noqa: PT017
        return
    assert made[2:] in (HOST_STE[2:], (0,) * 6)
    assert made[0] >> 1 & 7 in (0, 6, 7)


# ---------------------------------------------------------------- AMD-Vi

V, TV, GV = 1, 2, 1 << 55
GCR3 = 0x000F_DEAD_B000
HOST_DTE = (V | TV | 4 << 9 | 0x9000 | 3 << 61, 0x77 | 1 << 32, 1 | 0x5000, 1 << 55)


def gcr3_words(address):
    """GCR3TRP 14:12, 30:15 and 51:31 in their places."""
    return (address >> 12 & 7) << 58, (address >> 15 & 0xFFFF) << 16 | (address >> 31 & 0x1F_FFFF) << 43


@pytest.mark.parametrize("mode", range(1, 8))
def test_host_levels_in_a_guests_dte_are_invalid(mode):
    refused(lambda: dte(V | mode << 9), errno.EINVAL, at=0, got=mode)


@pytest.mark.parametrize("bit", range(12, 52))
def test_a_host_root_in_a_guests_dte_is_invalid(bit):
    refused(lambda: dte(1 << bit), errno.EINVAL, at=0, got=1 << bit)


@pytest.mark.parametrize("flags", [0, V, GV, V | TV, TV | GV])
def test_a_gcr3_root_is_needed_only_with_v_and_gv(flags):
    dte(flags)
    refused(lambda: dte(V | GV | flags), errno.EINVAL)


@pytest.mark.parametrize("bit", range(12, 52))
def test_each_bit_of_the_gcr3_root_makes_it_one(bit):
    low, high = gcr3_words(1 << bit)

    assert dte(V | GV | low, high).gcr3 == 1 << bit


def test_bits_beside_the_gcr3_root_are_none_of_it():
    pieces = gcr3_words((1 << 52) - 4096)
    neighbours = (1 << 57 | 3 << 61 | 1 << 63) & ~pieces[0], ~pieces[1] & (1 << 64) - 1

    assert dte(*neighbours).gcr3 == 0


def test_guest_paging_has_4_levels_or_5_where_the_host_has_5():
    dte(q2=0)
    dte(q2=1 << 54, five_levels=True)
    refused(lambda: dte(q2=1 << 54), errno.EOPNOTSUPP, at=16)
    for mode in (2, 3):
        refused(lambda mode=mode: dte(q2=mode << 54, five_levels=True), errno.EINVAL, at=16, got=mode)


def test_glx_3_is_reserved_also_without_gv():
    for glx in (0, 1, 2):
        dte(glx << 56)
    refused(lambda: dte(3 << 56), errno.EINVAL, at=0, got=3)


def test_checks_come_in_the_kernels_order():
    everything = {"q0": V | GV | 1 << 9 | 0x5000 | 3 << 56, "q2": 3 << 54}
    order = [
        ("Mode", 0, 1 << 9),
        ("HostPTRoot", 0, 0x5000),
        ("GCR3TRP", 0, V),
        ("GuestPagingMode", 2, 2 << 54),
    ]
    words = [everything["q0"], 0, everything["q2"], 0]
    for name, word, fix in order:
        assert name in refused(lambda: dte(*words), errno.EINVAL)
        words[word] &= ~fix
    assert "GLX" in refused(lambda: dte(*words), errno.EINVAL)
    words[0] &= ~(3 << 56)
    assert "4 levels" in refused(lambda: dte(*words), errno.EOPNOTSUPP)


def test_the_hosts_dte_gets_the_guests_table_and_keeps_its_own():
    low, high = gcr3_words(GCR3)
    guest = dte(V | TV | GV | 1 << 52 | 1 << 54 | 2 << 56 | low, high | 0x1234, 1 << 54, five_levels=True)

    made = guest.physical(HOST_DTE, 0x42)

    assert guest.domain_id == 0x1234
    assert made[0] == HOST_DTE[0] | GV | 1 << 52 | 1 << 54 | 2 << 56 | low
    assert made[1] == 0x42 | 1 << 32 | high
    assert made[2:] == (HOST_DTE[2] | 1 << 54, HOST_DTE[3])


def test_gv_is_set_even_where_the_guest_has_none():
    assert dte(V | TV).physical(HOST_DTE, 0x77)[0] == HOST_DTE[0] | GV


@pytest.mark.parametrize("host", [HOST_DTE[:3], (V, *HOST_DTE[1:]), (TV, *HOST_DTE[1:])])
def test_a_host_without_tables_of_its_own_cannot_nest(host):
    with pytest.raises(UsageError, match=r"the host's DTE: expected 4 words"):
        dte(V | TV).physical(host, 1)


@given(U64, U64, U64, U64)
def test_no_guest_changes_what_is_the_hosts(q0, q1, q2, q3):
    # Mode, HostPTRoot, IR, IW, V, TV; all of word 1 but GCR3TRP and the DomainID; interrupts
    guest = dte(q0 & ~(0x7 << 9 | (1 << 52) - (1 << 12)) & ~(1 << 57), q1 | 1 << 16, q2 & ~(3 << 54), q3)

    made = guest.physical(HOST_DTE, 0x77)

    hosts = (1 << 62 | 1 << 61 | (1 << 52) - 1, 0x7FF << 32 | 0xFFFF, ~(3 << 54), ~0)
    for i, bits in enumerate(hosts):
        assert made[i] & bits == HOST_DTE[i] & bits
