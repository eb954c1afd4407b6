"""Ways to an input: new, or from those in the corpus, keeping their structure or not."""

from __future__ import annotations

from collections.abc import Callable

from iommu_abi.fuzz.campaign.session import Session
from iommu_abi.fuzz.targets.target import MOST
from iommu_abi.worlds.dice import Dice

Way = Callable[[Session, Dice], bytes]

#: What is put into an input besides any bytes: where sizes, lengths and addresses turn over.
WORDS = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\0" * 4, b"\xff" * 4, b"\0" * 8, b"\xff" * 8)


def fresh(session: Session, dice: Dice) -> bytes:
    """An input that the target makes."""
    return session.target.fresh(dice)


def vary(session: Session, dice: Dice) -> bytes:
    """One of the corpus, changed by the target."""
    return session.target.vary(dice.pick(session.corpus), dice)


def edit(session: Session, dice: Dice) -> bytes:
    """One of the corpus, some bytes of it set, put in, cut out, or a bit flipped."""
    made, words = bytearray(dice.pick(session.corpus)), (*WORDS, *session.target.words)
    for _ in range(dice.pick((1, 1, 2, 4))):
        at = dice.randrange(len(made) + 1)
        part = dice.pick(words) if dice.chance(0.6) else dice.randbytes(dice.randrange(1, 9))
        kind = dice.randrange(4)
        if kind == 0:
            made[at : at + len(part)] = part
        elif kind == 1:
            made[at:at] = part
        elif kind == 2:
            del made[at : at + dice.randrange(1, 17)]
        elif at < len(made):
            made[at] ^= 1 << dice.randrange(8)
    return bytes(made[:MOST])


def splice(session: Session, dice: Dice) -> bytes:
    """The start of one input and the end of another."""
    one, other = dice.pick(session.corpus), dice.pick(session.corpus)
    cut = dice.randrange(min(len(one), len(other)) + 1)
    return one[:cut] + other[cut:]


#: The more often the better they do.
WAYS: tuple[Way, ...] = (fresh, fresh, vary, vary, vary, edit, edit, splice)
