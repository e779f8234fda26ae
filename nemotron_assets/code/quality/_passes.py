"""The compiled pass over the bytes of files: it counts lines, identifiers, encoded data, and lines with certain words.

Compiled functions that call each other must stay in this one file: numba's cache on the disk notices changes only in
the file of the function itself. The GIL is released; buffers are allocated once per batch, for its longest file.
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
    "xml_header", "generated_mark", "words", "unique_words",
)  # fmt: skip
(
    _CHARACTERS,
    _BREAKS,
    _LINES,
    _LONGEST,
    _LETTERS,
    _REPLACEMENTS,
    _HEX,
    _BASE64,
    _ESCAPES,
    _ENCODED,
    _IDENTIFIERS,
    _IDENTIFIER_CHARACTERS,
    _LONG_WORD,
    _HEX_WORD,
    _TODO,
    _ASSERT,
    _PRINT,
    _MAIN,
    _PREPROCESSOR,
    _ZERO,
    _XML,
    _GENERATED,
    _WORDS,
    _UNIQUE,
) = range(len(COUNTS))

# Kinds of spans of a syntax tree, and what is counted in them.
COMMENT, DOCSTRING, STRING = range(3)
SPAN_COUNTS = ("comment_bytes", "comment_lines", "string_bytes", "long_strings")
_COMMENT_BYTES, _COMMENT_LINES, _STRING_BYTES, _LONG_STRINGS = range(len(SPAN_COUNTS))
LINE_COUNTS = ("code_lines", "repeated_lines")
_CODE_LINES, _REPEATED_LINES = range(len(LINE_COUNTS))

# Classes of bytes, one bit each.
LETTER, IDENTIFIER, HEX, BASE64, SPACE, UPPER, LOWER, DIGIT = (np.uint16(1 << n) for n in range(8))

# Kinds of strings that are searched for, as bits. The bit of the n-th entry of `signals.PRINTS` is FIRST_PRINT << n.
TODO, ASSERT, GENERATED, MAIN, FIRST_PRINT = 1, 2, 4, 8, 16
ANYWHERE = TODO | ASSERT | GENERATED  # all other kinds count only at the beginning of a line

MIN_HEX_PAIRS, MIN_BASE64, MIN_ESCAPES = 8, 64, 8

_SEED, _STEP, _MIX = U64(0x5BE0CD19137E2179), U64(0x9B05688C2B3E6C1F), U64(0xCBBB9D5DC1059ED9)


def byte_flags() -> np.ndarray:
    """The classes of each of the 256 bytes."""
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
    """Whether the lower-case string strings[low:high] is at `place`, in any case of ASCII letters."""
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
    """Count a run of encoded data of `length` bytes."""
    row[which] += length
    if length > row[_ENCODED]:
        row[_ENCODED] = length


@njit(cache=True, nogil=True)
def _escape_runs(data, start, end, flags, row):
    """Count runs of \\x1F, 0x1F and \\u12AB. Commas and white space may stand between hex pairs."""
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
    """Whether a line ends with the assignment of an empty value: = 0; = null; = 0.0; = false; = ''; or the like."""
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
def _base64_runs(data, start, end, flags, row):
    """Count runs of at least MIN_BASE64 bytes of base64. A run of this length cannot lie between two tested bytes, so
    that it is enough to test every MIN_BASE64th byte."""
    i = start + MIN_BASE64 - 1
    while i < end:
        if not flags[data[i]] & BASE64:
            i += MIN_BASE64
            continue
        first, last, seen = i, i, np.uint16(0)
        while first > start and flags[data[first - 1]] & BASE64:
            first -= 1
        while last < end and flags[data[last]] & BASE64:
            last += 1
        if last - first >= MIN_BASE64:
            for k in range(first, last):
                seen |= flags[data[k]]
            if (seen & UPPER) and (seen & LOWER) and (seen & DIGIT):
                _encoded(row, last - first, _BASE64)
        i = last + MIN_BASE64


@njit(cache=True, nogil=True)
def _is_space(byte):
    return (byte == 32) | (np.uint8(byte - 9) < 5)


@njit(cache=True, nogil=True)
def _bytes(data, start, end, row):
    """Count characters, letters and words. These loops keep no state, so that the compiler vectorises them. Returns
    the largest possible number of the escapes that `_escape_runs` looks for."""
    # Index into slices: for `data[start + i]` numba tests for negative indices, and does not vectorise the loop.
    text = data[start:end]
    before, after = text[:-1], text[1:]
    following, letters, escapes, words = 0, 0, 0, text.size > 0 and not _is_space(text[0])
    for i in range(text.size):
        byte = text[i]
        following += (byte & 0xC0) == 0x80
        letters += (np.uint8((byte | 32) - 97) < 26) | (byte >= 0xC0)
    for i in range(after.size):
        words += _is_space(before[i]) & (not _is_space(after[i]))
    for i in range(after.size):
        hex_or_unicode = (before[i] == 92) & ((after[i] == 120) | (after[i] == 117))
        escapes += hex_or_unicode | ((before[i] == 48) & ((after[i] | 32) == 120))
    row[_CHARACTERS], row[_LETTERS], row[_WORDS] = text.size - following, letters, words
    return escapes


@njit(cache=True, nogil=True)
def _identifier(data, first, last, flags, long_word, row):
    length = last - first
    row[_IDENTIFIERS] += 1
    row[_IDENTIFIER_CHARACTERS] += length
    if length >= long_word:
        row[_LONG_WORD] += length
    if length > 2 and data[first] == 48 and (data[first + 1] | 32) == 120:
        for k in range(first + 2, last):
            if not flags[data[k]] & HEX:
                return
        row[_HEX_WORD] += length


@njit(cache=True, nogil=True)
def _pair(data, place, end):
    """The byte at `place` and the next byte as one number, an index into `begins`."""
    return U64(data[U64(place)]) << U64(8) | U64(data[U64(min(place + 1, end - 1))])


@njit(cache=True, nogil=True)
def _kinds_at(data, place, end, flags, strings, places, kinds, first_of, wanted):
    """The kinds, out of `wanted`, of the strings at `place`. Strings of the kind TODO must be whole words."""
    found, first = 0, data[place] + 32 if 65 <= data[place] <= 90 else data[place]
    for k in range(first_of[first], first_of[first + 1]):
        if kinds[k] & wanted and _is_at(data, place, end, strings, places[k], places[k + 1]):
            after = place + places[k + 1] - places[k]
            if not (kinds[k] == TODO and after < end and flags[data[after]] & IDENTIFIER):
                found |= kinds[k]
    return found


@njit(cache=True, nogil=True)
def _line(data, first, last, characters, kinds, row):
    """Count one line. `first` and `last` enclose it without white space at its ends; `first` is -1 if it is blank."""
    row[_LINES] += 1
    if characters > row[_LONGEST]:
        row[_LONGEST] = characters
    if first < 0:
        return
    row[_TODO] += (kinds & TODO) != 0
    row[_ASSERT] += (kinds & ASSERT) != 0
    row[_MAIN] += (kinds & MAIN) != 0
    row[_PRINT] += kinds >= FIRST_PRINT
    row[_PREPROCESSOR] += data[first] == 35
    row[_ZERO] += _ends_with_zero(data, first, last)
    if kinds & GENERATED:
        row[_GENERATED] = 1


@njit(cache=True, nogil=True)
def count_files(data, offsets, counts, masks, flags, strings, places, kinds, first_of, begins, head, long_word):
    """Fill `counts` (files x COUNTS, zeros) for the files data[offsets[t]:offsets[t + 1]] in UTF-8.

    `masks` has for each file the kinds of strings to search for, as bits. String k is strings[places[k]:places[k + 1]]
    and of kind kinds[k]; the strings that begin with byte b have the numbers first_of[b] to first_of[b + 1] - 1.
    begins[256 * byte + next byte] has the kinds of all strings that begin with these two bytes. In the inner loops
    indices are unsigned, because numba would test signed ones for being negative.
    """
    keys = np.zeros(16, U64)
    for t in range(offsets.size - 1):
        row, mask = counts[t], masks[t]
        wanted, of_lines = mask & ANYWHERE, mask & ~ANYWHERE
        start, end = offsets[t], offsets[t + 1]
        escapes = _bytes(data, start, end, row)
        table = 16
        while table < 2 * row[_WORDS]:
            table *= 2
        if table > keys.size:
            keys = np.zeros(table, U64)
        table_mask = U64(table - 1)
        keys[:table] = U64(0)
        unique, line_start, line_kinds, following = 0, start, 0, 0
        line_text, line_last = -1, start  # the first byte that is not white space, and the one after the last
        i = start
        while i < end:
            byte = data[U64(i)]
            if flags[byte] & SPACE:
                if byte == 10:
                    row[_BREAKS] += 1
                    _line(data, line_text, line_last, i - line_start - following, line_kinds, row)
                    line_start, line_kinds, following, line_text = i + 1, 0, 0, -1
                i += 1
                continue
            if line_text < 0:
                line_text = i
                if begins[_pair(data, i, end)] & of_lines:
                    line_kinds = _kinds_at(data, i, end, flags, strings, places, kinds, first_of, of_lines)
            if i - start > head:
                wanted &= ~GENERATED
            token, named = _SEED, False  # hash of the word; whether the byte before belongs to an identifier
            while i < end and not flags[data[U64(i)]] & SPACE:
                byte = data[U64(i)]
                if not named and begins[_pair(data, i, end)] & wanted:
                    here = wanted if i - start <= head else wanted & ~GENERATED
                    line_kinds |= _kinds_at(data, i, end, flags, strings, places, kinds, first_of, here)
                named = (flags[byte] & IDENTIFIER) != 0
                if named:
                    first = i
                    while i < end and flags[data[U64(i)]] & IDENTIFIER:
                        token = (token ^ U64(data[U64(i)])) * _STEP
                        i += 1
                    _identifier(data, first, i, flags, long_word, row)
                    continue
                following += (byte & 0xC0) == 0x80
                if byte == 0xEF and i + 2 < end and data[i + 1] == 0xBF and data[i + 2] == 0xBD:
                    row[_REPLACEMENTS] += 1
                token = (token ^ U64(byte)) * _STEP
                i += 1
            line_last = i
            token = (token ^ (token >> U64(32))) * _MIX
            token = (token ^ (token >> U64(29))) | U64(1)
            slot = token & table_mask
            while keys[slot] != U64(0) and keys[slot] != token:
                slot = (slot + U64(1)) & table_mask
            if keys[slot] == U64(0):
                keys[slot] = token
                unique += 1
        if end > start and data[end - 1] != 10:
            _line(data, line_text, line_last, end - line_start - following, line_kinds, row)
        row[_UNIQUE] = unique
        row[_LETTERS] -= row[_REPLACEMENTS]
        _base64_runs(data, start, end, flags, row)
        if escapes >= min(MIN_HEX_PAIRS, MIN_ESCAPES):
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


@njit(cache=True, nogil=True)
def count_spans(data, offsets, files, starts, ends, kinds, long_string, counts):
    """Add to counts[file, SPAN_COUNTS] what the spans of the file cover.

    Counted are the bytes and lines of comments and docstrings, each once, the bytes of strings, and the number of
    strings of more than `long_string` bytes. Strings inside other strings and docstrings do not count as strings.

    The spans are sorted by file, start and descending end; a docstring comes before the string that it is. Starts and
    ends are relative to the start of the file, which is data[offsets[file]:offsets[file + 1]].
    """
    file = -1
    row = counts[0] if len(counts) else np.zeros(len(SPAN_COUNTS), np.int64)
    commented = quoted = place = line = counted_line = documented = 0
    for k in range(len(files)):
        if files[k] != file:
            file = files[k]
            row = counts[file]
            commented, quoted, place, line, counted_line, documented = 0, 0, 0, 0, -1, -1
        start, end = starts[k], ends[k]
        if kinds[k] == STRING:
            if start >= quoted:
                quoted = end
                if start != documented:
                    row[_STRING_BYTES] += end - start
                    row[_LONG_STRINGS] += end - start > long_string
            continue
        if kinds[k] == DOCSTRING:
            documented = start
        if end <= max(commented, start):
            continue
        row[_COMMENT_BYTES] += end - max(start, commented)
        commented = end
        # Lines are numbered by the breaks before them. A break that ends a comment is part of the comment's last line.
        base = offsets[file]
        first = line
        while place < end - 1:
            if place == start:
                first = line
            line += data[base + place] == 10
            place += 1
        if place == start:
            first = line
        row[_COMMENT_LINES] += line - max(first, counted_line + 1) + 1
        counted_line = line


@njit(cache=True, nogil=True)
def count_code_lines(data, offsets, files, starts, ends, kinds, counts):
    """Fill counts[file, LINE_COUNTS] (zeros): the lines of code, and the lines of code that stand more than once in the
    file, each occurrence counted.

    A line of code has a byte that is neither white space nor in a comment or docstring. Lines are compared without
    white space and comments. A line of one character and a line `},` never count as repeated. The spans are those of
    `count_spans`; a file without spans has no comments.
    """
    keys, seen, span = np.zeros(16, U64), np.zeros(16, np.int64), 0
    for t in range(offsets.size - 1):
        row, start, end = counts[t], offsets[t], offsets[t + 1]
        lines = 1
        for byte in data[start:end]:
            lines += byte == 10
        table = 16
        while table < 2 * lines:
            table *= 2
        if table > keys.size:
            keys, seen = np.zeros(table, U64), np.zeros(table, np.int64)
        table_mask = U64(table - 1)
        keys[:table] = U64(0)
        seen[:table] = 0
        token, characters, last, before, commented, i = _SEED, 0, 0, 0, start, start
        while i <= end:
            while span < files.size and files[span] == t and start + starts[span] <= i:
                if kinds[span] != STRING:
                    commented = max(commented, start + ends[span])
                span += 1
            byte = np.int64(data[U64(i)]) if i < end else 10
            if byte != 10:
                if i >= commented and not _is_space(byte):
                    token = (token ^ U64(byte)) * _STEP
                    characters += (byte & 0xC0) != 0x80
                    before, last = last, byte
            elif characters:
                row[_CODE_LINES] += 1
                token = (token ^ (token >> U64(32))) * _MIX
                token = (token ^ (token >> U64(29))) | U64(1)
                slot = token & table_mask
                while keys[slot] != U64(0) and keys[slot] != token:
                    slot = (slot + U64(1)) & table_mask
                keys[slot] = token
                seen[slot] += 1
                closes = characters == 2 and before == 125 and last == 44
                if seen[slot] > 1 and characters > 1 and not closes:
                    row[_REPEATED_LINES] += 2 if seen[slot] == 2 else 1
                token, characters = _SEED, 0
            i += 1
        while span < files.size and files[span] <= t:
            span += 1
