"""The compiled pass over the bytes of files: lines, identifiers, encoded data, and lines with certain words.

Everything compiled that calls each other is in this one file, because numba's on-disk cache notices only changes of the
file that a function is in. The GIL is released; buffers are allocated once per batch, by its longest file.
"""

from __future__ import annotations

import numpy as np
from numba import njit

U64 = np.uint64

COUNTS = (
    "characters", "line_breaks", "lines", "longest_line", "letters", "replacements",
    "hex", "base64", "unicode_escapes", "longest_encoded",
    "identifiers", "identifier_characters", "long_word", "hex_word",
    "todo_lines", "assert_lines", "print_lines", "main_lines", "preprocessor_lines", "zero_lines",
    "xml_header", "generated_mark", "words", "unique_words", "full_lines",
)  # fmt: skip
(
    _CHARACTERS, _BREAKS, _LINES, _LONGEST, _LETTERS, _REPLACEMENTS,
    _HEX, _BASE64, _ESCAPES, _ENCODED,
    _IDENTIFIERS, _IDENTIFIER_CHARACTERS, _LONG_WORD, _HEX_WORD,
    _TODO, _ASSERT, _PRINT, _MAIN, _PREPROCESSOR, _ZERO,
    _XML, _GENERATED, _WORDS, _UNIQUE, _FULL,
) = range(len(COUNTS))  # fmt: skip

# What a byte is, one bit each.
LETTER, IDENTIFIER, HEX, BASE64, SPACE, UPPER, LOWER, DIGIT = (np.uint16(1 << n) for n in range(8))

# Kinds of strings that are searched for. A text has those of PRINTS whose bit is in its mask.
TODO, ASSERT, GENERATED, MAIN, FIRST_PRINT = 1, 2, 4, 8, 16

MIN_HEX_PAIRS, MIN_BASE64, MIN_ESCAPES = 8, 64, 8

_SEED, _STEP, _MIX = U64(0x5BE0CD19137E2179), U64(0x9B05688C2B3E6C1F), U64(0xCBBB9D5DC1059ED9)


def byte_flags() -> np.ndarray:
    """What each of the 256 bytes is."""
    flags = np.zeros(256, np.uint16)
    for byte in range(256):
        c = chr(byte)
        ascii_letter = c.isascii() and c.isalpha()
        flags[byte] |= LETTER * ascii_letter | IDENTIFIER * (ascii_letter or c in "0123456789_")
        flags[byte] |= HEX * (c in "0123456789abcdefABCDEF") | BASE64 * (ascii_letter or c in "0123456789+/=")
        flags[byte] |= SPACE * (c in " \t\n\r\f\v") | DIGIT * (c in "0123456789")
        flags[byte] |= UPPER * ("A" <= c <= "Z") | LOWER * ("a" <= c <= "z")
    return flags


@njit(cache=True, nogil=True)
def _is_at(data, place, end, strings, low, high):
    """Whether the (lower-case) string strings[low:high] stands at `place`, ASCII letters of any case."""
    if place + high - low > end:
        return False
    for k in range(high - low):
        byte = data[place + k]
        if 65 <= byte <= 90:
            byte += 32
        if byte != strings[low + k]:
            return False
    return True


@njit(cache=True, nogil=True)
def _encoded(row, length, which):
    row[which] += length
    if length > row[_ENCODED]:
        row[_ENCODED] = length


@njit(cache=True, nogil=True)
def _escape_runs(data, start, end, flags, row):
    """Runs of \\x1F, 0x1F and \\u12AB; between hex pairs may be a comma and blanks."""
    i = start
    while i < end - 3:
        byte = data[i]
        is_hex = (byte == 92 and data[i + 1] == 120) or (byte == 48 and (data[i + 1] | 32) == 120)
        is_unicode = byte == 92 and data[i + 1] == 117
        if not (is_hex or is_unicode):
            i += 1
            continue
        first, last, pairs, width = i, i, 0, 2 if is_hex else 4
        j = i
        while j + 2 + width <= end:
            if is_hex:
                begins = (data[j] == 92 and data[j + 1] == 120) or (data[j] == 48 and (data[j + 1] | 32) == 120)
            else:
                begins = data[j] == 92 and data[j + 1] == 117
            if not begins:
                break
            digits = 0
            while j + 2 + digits < end and digits < width and flags[data[j + 2 + digits]] & HEX:
                digits += 1
            if digits != width:
                break
            pairs += 1
            j += 2 + width
            last = j
            while is_hex and j < end and (data[j] == 44 or data[j] == 32 or data[j] == 10 or data[j] == 9):
                j += 1
        if is_hex and pairs >= MIN_HEX_PAIRS:
            _encoded(row, last - first, _HEX)
        elif is_unicode and pairs >= MIN_ESCAPES:
            _encoded(row, last - first, _ESCAPES)
        i = max(last, i + 1)


@njit(cache=True, nogil=True)
def _ends_with_zero(data, start, end):
    """Whether a line assigns nothing: its end is = 0; = null; = 0.0f; = false; = ''; or the like."""
    if end - start < 4 or data[end - 1] != 59:
        return False
    i = end - 2
    while i > start and data[i] != 61 and end - i < 10:
        i -= 1
    if data[i] != 61:
        return False
    i += 1
    while i < end - 1 and data[i] == 32:
        i += 1
    length = end - 1 - i
    if length == 0:
        return False
    first = data[i]
    if first == 48:  # 0, 0.0, 0L, 0x0
        other = 0
        for k in range(i, end - 1):
            other += 49 <= data[k] <= 57
        return other == 0
    if length == 4:
        return first == 110 and data[i + 1] == 117 and data[i + 2] == 108 and data[i + 3] == 108  # null
    if length == 5:
        return first == 102 and data[i + 1] == 97 and data[i + 2] == 108 and data[i + 3] == 115  # false
    return length == 2 and first == data[i + 1] and (first == 34 or first == 39)


@njit(cache=True, nogil=True)
def count_files(
    data, offsets, counts, masks, flags, strings, places, kinds, at_start, whole, first_of, head, long_word
):
    """Fill `counts` (files x COUNTS, zeros) for the files data[offsets[t]:offsets[t + 1]] in UTF-8.

    `masks`: per file the bits of kinds that are meant. `strings`, `places`: the strings, those that begin with byte b
    being number first_of[b] to first_of[b + 1]; `kinds`, `at_start` (of a line), `whole` (words) say what they are.
    """
    longest = 0
    for t in range(offsets.size - 1):
        longest = max(longest, offsets[t + 1] - offsets[t])
    size = 16
    while size < longest + 4:
        size *= 2
    keys = np.zeros(size, U64)
    for t in range(offsets.size - 1):
        row, mask = counts[t], masks[t]
        start, end = offsets[t], offsets[t + 1]
        characters, letters, line_characters, line_kinds = 0, 0, 0, 0
        line_text, line_last = -1, start  # first and one behind the last byte that is no blank
        word_start, base_start = -1, -1
        token, in_token, unique = _SEED, False, 0
        table = 16
        while table < (end - start) + 4:  # words are at most half of the bytes
            table *= 2
        table_mask = U64(table - 1)
        keys[:table] = U64(0)
        for i in range(start, end + 1):
            if i < end:
                byte = data[i]
                flag = flags[byte]
            elif end > start and data[end - 1] == 10:
                byte, flag = np.uint8(0), SPACE  # the last line is complete
            else:
                byte, flag = np.uint8(10), SPACE
            # words
            if flag & SPACE:
                if in_token:
                    in_token = False
                    token = (token ^ (token >> U64(32))) * _MIX
                    token = (token ^ (token >> U64(29))) | U64(1)
                    slot = token & table_mask
                    while keys[slot] != U64(0) and keys[slot] != token:
                        slot = (slot + U64(1)) & table_mask
                    if keys[slot] == U64(0):
                        keys[slot] = token
                        unique += 1
                    row[_WORDS] += 1
            else:
                if not in_token:
                    in_token, token = True, _SEED
                token = (token ^ U64(byte)) * _STEP
                if line_text < 0:
                    line_text = i
                line_last = i + 1
            # identifiers and what begins with them
            if flag & IDENTIFIER:
                if word_start < 0:
                    word_start = i
            elif word_start >= 0:
                length = i - word_start
                row[_IDENTIFIERS] += 1
                row[_IDENTIFIER_CHARACTERS] += length
                if length >= long_word:
                    row[_LONG_WORD] += length
                if length > 2 and data[word_start] == 48 and (data[word_start + 1] | 32) == 120:
                    is_hex = True
                    for k in range(word_start + 2, i):
                        is_hex = is_hex and (flags[data[k]] & HEX) != 0
                    if is_hex:
                        row[_HEX_WORD] += length
                word_start = -1
            if not flag & BASE64:
                if base_start >= 0 and i - base_start >= MIN_BASE64:
                    seen = np.uint16(0)
                    for k in range(base_start, i):
                        seen |= flags[data[k]]
                    if (seen & UPPER) and (seen & LOWER) and (seen & DIGIT):
                        _encoded(row, i - base_start, _BASE64)
                base_start = -1
            elif base_start < 0:
                base_start = i
            if i < end:
                # strings: only where a word begins, or what begins the line
                lower = byte + 32 if 65 <= byte <= 90 else byte
                if first_of[lower] != first_of[lower + 1] and (i == start or not flags[data[i - 1]] & IDENTIFIER):
                    for k in range(first_of[lower], first_of[lower + 1]):
                        kind = kinds[k]
                        if not kind & mask or (at_start[k] and line_text != i):
                            continue
                        if kind == GENERATED and i - start > head:
                            continue
                        if _is_at(data, i, end, strings, places[k], places[k + 1]):
                            after = i + places[k + 1] - places[k]
                            if whole[k] and after < end and flags[data[after]] & IDENTIFIER:
                                continue
                            line_kinds |= kind
                if (byte & 0xC0) != 0x80:
                    characters += 1
                    line_characters += byte != 10
                    letters += (flag & LETTER) != 0 or byte >= 128
                if byte == 0xEF and i + 2 < end and data[i + 1] == 0xBF and data[i + 2] == 0xBD:
                    row[_REPLACEMENTS] += 1
            if byte == 10 and flag & SPACE:
                row[_BREAKS] += i < end
                if i > start or i < end:
                    row[_LINES] += 1
                if line_characters > row[_LONGEST]:
                    row[_LONGEST] = line_characters
                if line_text >= 0:
                    row[_FULL] += 1
                    row[_TODO] += (line_kinds & TODO) != 0
                    row[_ASSERT] += (line_kinds & ASSERT) != 0
                    row[_MAIN] += (line_kinds & MAIN) != 0
                    row[_PRINT] += line_kinds >= FIRST_PRINT
                    row[_PREPROCESSOR] += data[line_text] == 35
                    row[_ZERO] += _ends_with_zero(data, line_text, line_last)
                    if line_kinds & GENERATED:
                        row[_GENERATED] = 1
                line_characters, line_kinds, line_text = 0, 0, -1
        row[_CHARACTERS], row[_LETTERS], row[_UNIQUE] = characters, letters - row[_REPLACEMENTS], unique
        _escape_runs(data, start, end, flags, row)
        i = start
        while i < end and flags[data[i]] & SPACE:
            i += 1
        row[_XML] = (
            i + 5 <= end
            and data[i] == 60
            and data[i + 1] == 63
            and (data[i + 2] | 32) == 120
            and (data[i + 3] | 32) == 109
            and (data[i + 4] | 32) == 108
        )
