"""Code points from UTF-8 bytes and back, and the one rule of lower case that looks at neighbours.

Nothing is checked; bytes that are not UTF-8 give some code points, never a read outside the text.
"""

import numpy as np

from icp.kernels._jit import bare_kernel
from icp.kernels.text_alphabet import CASE_IGNORABLE, CASED


@bare_kernel
def decode(text, at):
    """Code point at byte `at` and its length in bytes; 0 where the text ends inside it or it is no code point."""
    code = np.int64(text[at])
    if code < 0xE0:
        if at + 1 < text.shape[0]:  # of one byte or two: texts mix them, so no branch
            is_two = code >= 0x80
            return ((code & 31) << 6 | (np.int64(text[at + 1]) & 63) if is_two else code), 1 + is_two
        return (code if code < 0x80 else np.int64(0)), 1
    length = 3 + (code >= 0xF0)
    if at + length > text.shape[0]:
        return np.int64(0), text.shape[0] - at
    code &= 0xFF >> (length + 1)  # the first byte begins with `length` ones and a zero; each further one holds 6 bits
    for k in range(1, length):
        code = (code << 6) | (np.int64(text[at + k]) & 63)
    return (code if code < 0x110000 else np.int64(0)), length


@bare_kernel
def encode(code, out, at):
    """Write a code point >= 0x80 as UTF-8 from out[at] on; returns where it ends."""
    if code < 0x800:
        out[at] = 0xC0 | (code >> 6)
        out[at + 1] = 0x80 | (code & 63)
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | (code >> 12)
        out[at + 1] = 0x80 | ((code >> 6) & 63)
        out[at + 2] = 0x80 | (code & 63)
        return at + 3
    out[at] = 0xF0 | (code >> 18)
    out[at + 1] = 0x80 | ((code >> 12) & 63)
    out[at + 2] = 0x80 | ((code >> 6) & 63)
    out[at + 3] = 0x80 | (code & 63)
    return at + 4


@bare_kernel
def is_final_sigma(text, at, entries):
    """Does the sigma at byte `at` close a word: is the nearest character that counts before it cased, after it not?

    Args: entries (0x110000,) uint32, of `icp.kernels.text_alphabet.Alphabet`.

    Source: Unicode, SpecialCasing, condition Final_Sigma, as CPython applies it.
    """
    before = at - 1
    cased = np.int64(0)
    while before >= 0:
        while before > 0 and (text[before] & 0xC0) == 0x80:  # back to the byte that begins the character
            before -= 1
        entry = np.int64(entries[decode(text, before)[0]])
        if not entry & CASE_IGNORABLE:
            cased = entry & CASED
            break
        before -= 1
    if cased == 0:
        return False
    after = at + 2  # a sigma takes two bytes
    while after < text.shape[0]:
        code, length = decode(text, after)
        entry = np.int64(entries[code])
        if not entry & CASE_IGNORABLE:
            return (entry & CASED) == 0
        after += length
    return True
