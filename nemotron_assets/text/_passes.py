"""The compiled kernels of the heuristics: one pass over a text's bytes, and one over its words per length of n-grams.

All compiled functions that call each other are in this one file, because numba's on-disk cache only notices changes of
the file that a function is in. All functions release the GIL. Buffers are allocated once per batch, for its longest
text.

What makes the kernels fast:

* Every byte is read once. Inside a word of ASCII characters there are only two look-ups, three counters in one 64-bit
  integer, and the word's hash; everything else happens at the ends of words and lines. The hash of a line is made of
  the hashes of its words and of the white space between them.
* An Aho-Corasick automaton searches for boilerplate, but only in texts that contain four consecutive bytes of one of
  the boilerplate strings, which vector instructions check at 6 GB/s.
* A sequence of n words occurs twice only if its first n - 1 words and its last n - 1 words do. So each length only
  checks the places where the length before found repetition; in ordinary text few places are left after two words. The
  numbers of two sequences of n - 1 words are an exact key of a sequence of n words: only single words are compared by
  their 64-bit hashes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

U64 = np.uint64

# Properties of a character, one bit each.
TEXT, LETTER, DIGIT, SPACE, PARENTHESIS, TERMINAL, BULLET, HASH, COLON, URL_END = (np.uint32(1 << n) for n in range(10))
_RARE = np.uint32(HASH | COLON | URL_END)
_NOT_PLAIN = np.uint32(_RARE | SPACE)

# Kinds of words, one bit each.
COMMON, ELLIPSIS = 1, 2
# Kinds of boilerplate, one bit each.
BOILERPLATE, PLACEHOLDER = 1, 2

#: Names of the counts of a text, in the order of the columns of `counts`.
COUNTS = (
    "characters", "text_characters", "digits", "spaces", "parentheses", "url_characters",
    "words", "word_characters", "longest_word", "alphabetic_words", "symbol_words", "common_words",
    "lines", "line_characters", "unended_lines", "cut_off_lines", "bullet_lines",
    "unique_lines", "unique_line_characters",
    "paragraphs", "paragraph_characters", "boilerplate_paragraphs", "placeholders",
    "unique_paragraphs", "unique_paragraph_characters",
    "top_2gram", "top_3gram", "top_4gram",
    "repeated_5gram", "repeated_6gram", "repeated_7gram", "repeated_8gram", "repeated_9gram", "repeated_10gram",
)  # fmt: skip
(
    _CHARACTERS,
    _TEXT,
    _DIGITS,
    _SPACES,
    _PARENTHESES,
    _URL,
    _WORDS,
    _WORD_CHARACTERS,
    _LONGEST,
    _ALPHABETIC,
    _SYMBOLS,
    _COMMON,
    _LINES,
    _LINE_CHARACTERS,
    _UNENDED,
    _CUT_OFF,
    _BULLETS,
    _UNIQUE_LINES,
    _UNIQUE_LINE_CHARACTERS,
    _PARAGRAPHS,
    _PARAGRAPH_CHARACTERS,
    _BOILERPLATE,
    _PLACEHOLDERS,
    _UNIQUE_PARAGRAPHS,
    _UNIQUE_PARAGRAPH_CHARACTERS,
    _TOP,
    _,
    _,
    _REPEATED,
    _,
    _,
    _,
    _,
    _,
) = range(len(COUNTS))
TOP_SIZES, REPEATED_SIZES = range(2, 5), range(5, 11)
_LARGEST = 10

# Odd 64-bit numbers without structure (the fractional parts of the square roots of 13, 17, 19, 23 and 29).
_WORD = U64(0x9B05688C2B3E6C1F)
_LINE = U64(0x1F83D9ABFB41BD6B)
_SEED = U64(0x5BE0CD19137E2179)
_MIX_1 = U64(0xCBBB9D5DC1059ED9)
_MIX_2 = U64(0x629A292A367CD507)

# Three counters of 21 bits in one integer. They are read out after each block, before one of them can overflow.
_BLOCK = 1 << 20
_FIELD = U64((1 << 21) - 1)


@njit(cache=True, nogil=True)
def _mix(value):
    value = (value ^ (value >> U64(32))) * _MIX_1
    value = (value ^ (value >> U64(29))) * _MIX_2
    return value ^ (value >> U64(32))


@njit(cache=True, nogil=True)
def hash_word(data, start, end):
    """The hash by which words are compared: never 0."""
    value = _SEED
    for place in range(start, end):
        value = (value ^ U64(data[place])) * _WORD
    return _mix(value) | U64(1)


@njit(cache=True, nogil=True)
def _decode(data, place, end):
    """(code point, its length in bytes) of the multi-byte sequence at `place`; U+FFFD for an invalid sequence."""
    first = np.int64(data[place])
    length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if place + length > end:
        return 0xFFFD, 1
    point = first & (0x3F >> (length - 1))
    for k in range(1, length):
        point = (point << 6) | (np.int64(data[place + k]) & 0x3F)
    return (point if point < 0x110000 else 0xFFFD), length


@njit(cache=True, nogil=True)
def _ends_with_any(data, start, end, strings, offsets):
    """Whether the bytes from `start` to `end` end with one of the lower-case strings; the case of ASCII letters in the
    text does not matter."""
    for k in range(offsets.size - 1):
        low, high = offsets[k], offsets[k + 1]
        if high - low > end - start:
            continue
        same = True
        for back in range(1, high - low + 1):
            byte = data[end - back]
            if 65 <= byte <= 90:
                byte += 32
            if byte != strings[high - back]:
                same = False
                break
        if same:
            return True
    return False


@njit(cache=True, nogil=True)
def _holds_any(text, windows, masks):
    """Whether a text contains one of the windows of four bytes, after the bits of `masks` are set in the text. A text
    that is shorter than a window counts as containing it."""
    for w in range(windows.shape[0]):
        first, second, third, fourth = windows[w, 0], windows[w, 1], windows[w, 2], windows[w, 3]
        mask_1, mask_2, mask_3, mask_4 = masks[w, 0], masks[w, 1], masks[w, 2], masks[w, 3]
        found = text.size < 4
        for i in range(text.size - 3):  # no early exit, so that the compiler compares many bytes at a time
            found = found | (
                ((text[i] | mask_1) == first)
                & ((text[i + 1] | mask_2) == second)
                & ((text[i + 2] | mask_3) == third)
                & ((text[i + 3] | mask_4) == fourth)
            )
        if found:
            return True
    return False


@njit(cache=True, nogil=True)
def _url_start(data, place, start):
    """The number of bytes before the colon at `place` that begin a URL ("http" or "https"), within the word that begins
    at `start`; 0 if they do not."""
    if place - 5 >= start and data[place - 1] == 115:  # s
        length = 5
    elif place - 4 >= start:
        length = 4
    else:
        return 0
    at = place - length
    if data[at] == 104 and data[at + 1] == 116 and data[at + 2] == 116 and data[at + 3] == 112:
        return length
    return 0


@njit(cache=True, nogil=True)
def _table_size(entries):
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def _unique(hashes, lengths, count, keys):
    """(number, summed length) of the different hashes among the first `count`; `keys` is room for a hash table."""
    size = _table_size(count)
    keys[:size] = U64(0)
    mask = U64(size - 1)
    number, total = 0, 0
    for k in range(count):
        key = hashes[k]
        slot = key & mask
        while keys[slot] != U64(0) and keys[slot] != key:
            slot = (slot + U64(1)) & mask
        if keys[slot] == U64(0):
            keys[slot] = key
            number += 1
            total += lengths[k]
    return number, total


@njit(cache=True, nogil=True)
def _repetition(row, words, word_hashes, before, keys, seen, group, place, next_group):
    """Fill in the n-gram columns of `row`. before[i] is the number of characters of the words before word i.

    The other arrays are room for a hash table and for the repeated n-grams: group[k] is the number of the n-gram that
    begins at word place[k], and places ascend.
    """
    size = _table_size(words)
    mask = U64(size - 1)
    keys[:size] = U64(0)
    seen[:size] = 0
    for i in range(words):
        key = word_hashes[i]
        slot = key & mask
        while keys[slot] != U64(0) and keys[slot] != key:
            slot = (slot + U64(1)) & mask
        keys[slot] = key
        seen[slot] += 1
        group[i] = slot
    left = 0
    for i in range(words):  # no branch, because whether a word is repeated cannot be predicted
        slot = group[i]
        group[left], place[left] = slot, i
        left += seen[slot] > 1
    for n in range(2, _LARGEST + 1):
        if left < 2:
            return
        size = _table_size(left)
        mask = U64(size - 1)
        keys[:size] = U64(0)
        seen[:size] = 0
        found = 0
        covered, repeated = 0, 0  # the word after the last repeated n-gram; its characters so far
        for k in range(left - 1):
            i = place[k]
            if place[k + 1] != i + 1:
                continue
            key = ((U64(group[k]) << U64(32)) | U64(group[k + 1])) + U64(1)
            slot = _mix(key) & mask
            while keys[slot] != U64(0) and keys[slot] != key:
                slot = (slot + U64(1)) & mask
            keys[slot] = key
            seen[slot] += 1
            # Writing never overtakes reading: at most one n-gram begins where an (n-1)-gram begins.
            next_group[found] = slot
            place[found] = i
            found += 1
            if n >= 5 and seen[slot] > 1:
                if covered > i:
                    repeated += before[i + n] - before[covered] + (i + n - covered)
                else:
                    repeated += before[i + n] - before[i] + (n - 1)
                covered = i + n
        left = 0
        for k in range(found):
            slot = next_group[k]
            group[left], place[left] = slot, place[k]
            left += seen[slot] > 1
        if n <= 4:
            best, longest = 0, 0
            for k in range(left):
                best = max(best, seen[group[k]])
            for k in range(left):
                if seen[group[k]] == best:
                    longest = max(longest, before[place[k] + n] - before[place[k]] + (n - 1))
            row[_TOP + n - 2] = min(best * longest, row[_CHARACTERS])
        else:
            row[_REPEATED + n - 5] = repeated


@njit(cache=True, nogil=True)
def count_texts(
    data,
    offsets,
    counts,
    windows,
    window_masks,
    ascii_flags,
    packed,
    pages,
    page_flags,
    moves,
    byte_class,
    classes,
    matching,
    match_kind,
    special,
    special_kind,
    special_mask,
    cut_off,
    cut_off_offsets,
):
    """Fill `counts` (int64[texts, COUNTS], zeros) for the UTF-8 texts data[offsets[t] : offsets[t + 1]].

    A text is searched for boilerplate if it contains one of `windows` (with `window_masks`). `ascii_flags` has the
    properties of ASCII characters, and `packed` the same as increments of the three counters. The properties of other
    characters are in `page_flags`, which `pages` gives the page of for code point >> 8. `moves`, `byte_class` and
    `classes` are the automaton; its states from `matching` on are matches of the kinds `match_kind`. `special` has the
    hashes of common words and ellipses, with `special_kind` and the filter `special_mask`. `cut_off` has the ends of
    lines that are cut off, at `cut_off_offsets`.
    """
    longest = 0
    for t in range(offsets.size - 1):
        longest = max(longest, offsets[t + 1] - offsets[t])
    room = longest // 2 + 2
    word_hashes, before = np.empty(room, np.uint64), np.empty(room + 1, np.int64)
    line_hashes, line_lengths = np.empty(room, np.uint64), np.empty(room, np.int64)
    part_hashes, part_lengths = np.empty(room, np.uint64), np.empty(room, np.int64)
    keys, seen = np.empty(_table_size(room), np.uint64), np.empty(_table_size(room), np.int32)
    group, place, next_group = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    before[0] = 0

    for t in range(offsets.size - 1):
        row = counts[t]
        start, end = offsets[t], offsets[t + 1]
        characters, text, digits, parentheses, spaces = 0, 0, 0, 0, 0
        words, lines, parts = 0, 0, 0
        in_word, word_hash, word_start, word_character = False, _SEED, start, 0
        word_flags, hashes = np.uint32(0), 0
        in_line, line_hash, line_hash_end, line_character, line_end = False, _SEED, _SEED, 0, 0
        line_start, line_end_byte, last_flags = start, start, np.uint32(0)
        part_hash, part_length, part_lines, part_kind = _SEED, 0, 0, 0
        in_url, url_character, url_length = False, 0, 0
        state, searching = np.int64(0), _holds_any(data[start:end], windows, window_masks)
        i = start
        while i <= end:
            block_end = min(end, i + _BLOCK)
            fields = U64(0)
            while i < block_end or i == end:
                if i == end:  # the end of the text is treated like a line break, but not counted
                    byte, flags, width = 10, SPACE | URL_END, 1
                else:
                    byte, width = data[i], 1
                    if byte < 128:
                        flags = ascii_flags[byte]
                        if in_word and not (flags & _NOT_PLAIN):
                            first = i
                            while True:
                                fields += packed[byte]
                                word_flags |= flags
                                last_flags = flags
                                word_hash = (word_hash ^ U64(byte)) * _WORD
                                i += 1
                                if i == block_end:
                                    break
                                byte = data[i]
                                if byte >= 128:
                                    break
                                flags = ascii_flags[byte]
                                if flags & _NOT_PLAIN:
                                    break
                            characters += i - first
                            if searching:
                                for k in range(first, i):
                                    state = np.int64(moves[state * classes + byte_class[data[k]]])
                                    if state >= matching:
                                        part_kind |= match_kind[state]
                            continue
                        fields += packed[byte]
                    else:
                        point, width = _decode(data, i, end)
                        flags = page_flags[(np.int64(pages[point >> 8]) << 8) | (point & 255)]
                        text += (flags & TEXT) != 0
                        digits += (flags & DIGIT) != 0
                        parentheses += (flags & PARENTHESIS) != 0
                if flags & SPACE:
                    spaces += 1
                    if in_word:
                        in_word = False
                        length = characters - word_character
                        word_hash = _mix(word_hash) | U64(1)
                        word_hashes[words] = word_hash
                        words += 1
                        before[words] = before[words - 1] + length
                        if length > row[_LONGEST]:
                            row[_LONGEST] = length
                        row[_ALPHABETIC] += (word_flags & LETTER) != 0
                        symbol = 2 * hashes > length
                        if (special_mask >> (word_hash & U64(63))) & U64(1):
                            for k in range(special.size):
                                if special[k] == word_hash:
                                    row[_COMMON] += special_kind[k] & COMMON
                                    symbol = symbol or (special_kind[k] & ELLIPSIS) != 0
                        row[_SYMBOLS] += symbol
                        line_hash = (line_hash ^ word_hash) * _LINE
                        line_hash_end, line_end, line_end_byte = line_hash, characters, i
                        if in_url:
                            in_url = False
                            if characters - url_character > url_length:
                                row[_URL] += characters - url_character
                    if byte == 10:
                        if in_line:
                            in_line = False
                            length = line_end - line_character
                            line_hash_end = _mix(line_hash_end) | U64(1)
                            line_hashes[lines], line_lengths[lines] = line_hash_end, length
                            lines += 1
                            row[_LINE_CHARACTERS] += length
                            row[_UNENDED] += (last_flags & TERMINAL) == 0
                            row[_CUT_OFF] += _ends_with_any(data, line_start, line_end_byte, cut_off, cut_off_offsets)
                            part_hash = (part_hash ^ line_hash_end) * _LINE
                            part_length += length + (part_lines > 0)
                            part_lines += 1
                        elif part_lines:
                            part_hashes[parts], part_lengths[parts] = _mix(part_hash) | U64(1), part_length
                            parts += 1
                            row[_BOILERPLATE] += (part_kind & BOILERPLATE) != 0
                            row[_PLACEHOLDERS] += (part_kind & PLACEHOLDER) != 0
                            row[_PARAGRAPH_CHARACTERS] += part_length
                            part_hash, part_length, part_lines, part_kind = _SEED, 0, 0, 0
                    if i == end:
                        break
                    for k in range(i, i + width):
                        line_hash = (line_hash ^ U64(data[k])) * _LINE
                else:
                    if not in_word:
                        in_word, word_hash, word_start, word_character = True, _SEED, i, characters
                        word_flags, hashes = np.uint32(0), 0
                        if not in_line:
                            in_line, line_hash, line_start, line_character = True, _SEED, i, characters
                            row[_BULLETS] += (flags & BULLET) != 0
                    if flags & _RARE:
                        if flags & HASH:
                            hashes += 1
                        elif flags & URL_END:
                            if in_url:
                                in_url = False
                                if characters - url_character > url_length:
                                    row[_URL] += characters - url_character
                        elif not in_url and i + 2 < end and data[i + 1] == 47 and data[i + 2] == 47:
                            length = _url_start(data, i, word_start)
                            if length:
                                in_url, url_character, url_length = True, characters - length, length + 3
                    word_flags |= flags
                    last_flags = flags
                    word_hash = (word_hash ^ U64(byte)) * _WORD
                    for k in range(1, width):
                        word_hash = (word_hash ^ U64(data[i + k])) * _WORD
                if searching:
                    for k in range(i, i + width):
                        state = np.int64(moves[state * classes + byte_class[data[k]]])
                        if state >= matching:
                            part_kind |= match_kind[state]
                characters += 1
                i += width
            text += np.int64(fields & _FIELD)
            digits += np.int64((fields >> U64(21)) & _FIELD)
            parentheses += np.int64((fields >> U64(42)) & _FIELD)
            if i == end:
                break
        if part_lines:
            part_hashes[parts], part_lengths[parts] = _mix(part_hash) | U64(1), part_length
            parts += 1
            row[_BOILERPLATE] += (part_kind & BOILERPLATE) != 0
            row[_PLACEHOLDERS] += (part_kind & PLACEHOLDER) != 0
            row[_PARAGRAPH_CHARACTERS] += part_length
        row[_CHARACTERS], row[_TEXT], row[_DIGITS] = characters, text, digits
        row[_SPACES], row[_PARENTHESES] = spaces - 1, parentheses  # the end of the text was counted as one
        row[_WORDS], row[_WORD_CHARACTERS] = words, before[words]
        row[_LINES], row[_PARAGRAPHS] = lines, parts
        row[_UNIQUE_LINES], row[_UNIQUE_LINE_CHARACTERS] = _unique(line_hashes, line_lengths, lines, keys)
        row[_UNIQUE_PARAGRAPHS], row[_UNIQUE_PARAGRAPH_CHARACTERS] = _unique(part_hashes, part_lengths, parts, keys)
        _repetition(row, words, word_hashes, before, keys, seen, group, place, next_group)
