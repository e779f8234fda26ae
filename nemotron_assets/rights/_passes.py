"""The compiled passes of verification: from bytes to the normalised text, to hashes of its pieces, and to names.

The **normalised text** of bytes are their letters, marks and numbers in lower case; whatever is between two of them is
one space. Escapes are read as what they stand for, as often as a text was escaped: `\\n`, `\\u00e9` and `\\/` of JSON,
`&eacute;` and `&#233;` of HTML. So a text has the same normalised form on a page, in a table, in a JSON document inside
a JSON document, and broken into other lines. With `markup`, tags are a space, too.

A **piece** is a run of `SIZE` characters of the normalised text. It is shared if a remaining document has `SHARED`
characters of it: else a sentence that remains would be found behind a letter that stood before it by chance.

All functions release the GIL, and are in one file, because numba's cache does not follow calls into other files.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Characters of a piece, and of the shorter run by which it is told that a piece is shared.
SIZE, SHARED = 40, 32
#: Bytes on either side of a name that its context is looked for in.
CONTEXT = 400
#: Kinds of names: what may stand beside them differs.
HOST, ADDRESS, REPOSITORY, ID = range(4)

_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)
_MIX_1, _MIX_2 = np.uint64(0xA54FF53A5F1D36F1), np.uint64(0x510E527FADE682D1)
_SPACE = np.uint32(32)
_IS_WORD = np.uint32(1 << 24)  # as in the table of code points of dedup
_CODE_POINT = np.uint32((1 << 21) - 1)
_LONGEST_TAG = 4_096
_BACKSLASH, _LESS, _AND = 92, 60, 38


@njit(cache=True, nogil=True)
def _hex(data, place, count, end):
    """The number of `count` hexadecimal digits; -1 if there are fewer."""
    if place + count > end:
        return np.int64(-1)
    value = np.int64(0)
    for k in range(count):
        byte = data[place + k]
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= (byte | 32) <= 102:
            digit = (byte | 32) - 87
        else:
            return np.int64(-1)
        value = value * 16 + np.int64(digit)
    return value


@njit(cache=True, nogil=True)
def _escape(data, place, end):
    """(code point, place after it) of a run of backslashes and the letter after them."""
    while place < end and data[place] == _BACKSLASH:
        place += 1
    if place >= end:
        return np.int64(32), place
    letter = data[place]
    if letter == 110 or letter == 114 or letter == 116 or letter == 98 or letter == 102 or letter == 118:  # n r t b f v
        return np.int64(32), place + 1
    digits = 4 if letter == 117 else 2 if letter == 120 else 8 if letter == 85 else 0  # u x U
    value = _hex(data, place + 1, digits, end) if digits else np.int64(-1)
    if value < 0:
        return np.int64(32), place
    place += 1 + digits
    if 0xD800 <= value < 0xDC00:  # the first half of a surrogate pair
        after = place
        while after < end and data[after] == _BACKSLASH:
            after += 1
        if place < after < end and data[after] == 117:
            low = _hex(data, after + 1, 4, end)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00), after + 5
    return value, place


@njit(cache=True, nogil=True)
def _entity(data, place, end, names, points):
    """(code point, place after it) of an entity of HTML, or a space for an & that begins none."""
    at = place + 1
    if at < end and data[at] == 35:  # &#233; or &#xe9;
        at += 1
        base = 10
        if at < end and (data[at] | 32) == 120:
            base, at = 16, at + 1
        value, first = np.int64(0), at
        while at < end and at - first < 8 and _hex(data, at, 1, end) >= 0 and (base == 16 or data[at] <= 57):
            value = value * base + _hex(data, at, 1, end)
            at += 1
        if at > first and at < end and data[at] == 59:
            return value, at + 1
        return np.int64(32), place + 1
    packed, first = np.uint64(0), at
    while at < end and at - first < 8 and (48 <= data[at] <= 57 or 97 <= (data[at] | 32) <= 122):
        packed = (packed << np.uint64(8)) | np.uint64(data[at])
        at += 1
    if at > first and at < end and data[at] == 59:
        found = np.searchsorted(names, packed)
        if found < len(names) and names[found] == packed:
            return np.int64(points[found]), at + 1
    return np.int64(32), place + 1


@njit(cache=True, nogil=True)
def _after_tag(data, place, end):
    """The place after the tag that begins at `place`; `place` if no tag begins there."""
    if place + 1 >= end:
        return place
    byte = data[place + 1]
    if not (97 <= (byte | 32) <= 122 or byte == 47 or byte == 33 or byte == 63):  # a letter, / ! ?
        return place
    for at in range(place + 2, min(end, place + _LONGEST_TAG)):
        if data[at] == 62:
            return at + 1
        if data[at] == _LESS:
            break  # else a page of nothing but < would be read again for each of them
    return place


@njit(cache=True, nogil=True)
def _point(data, place, end):
    """(code point, its length in bytes); a byte that is not valid UTF-8 is a separator."""
    first = np.int64(data[place])
    length = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if length == 1 or place + length > end:
        return (first if first < 0x80 else np.int64(32)), 1
    value = first & (0x7F >> length)
    for k in range(1, length):
        byte = np.int64(data[place + k])
        if byte & 0xC0 != 0x80:
            return np.int64(32), 1
        value = (value << 6) | (byte & 0x3F)
    return value, length


@njit(cache=True, nogil=True)
def normalise(data, place, end, table, names, points, markup, out):
    """Write the normalised text of bytes to `out` (uint32 code points, as long as the bytes); returns its length."""
    size, gap = 0, False
    while place < end:
        byte = data[place]
        if byte == _BACKSLASH:
            value, place = _escape(data, place, end)
        elif byte == _AND:
            value, place = _entity(data, place, end, names, points)
        elif byte == _LESS and markup and _after_tag(data, place, end) > place:
            value, place = np.int64(32), _after_tag(data, place, end)
        elif byte < 0x80:
            value, place = np.int64(byte), place + 1
        else:
            value, length = _point(data, place, end)
            place += length
        entry = table[value] if 0 <= value < len(table) else np.uint32(0)
        if entry & _IS_WORD:
            if gap and size:
                out[size] = _SPACE
                size += 1
            gap = False
            out[size] = np.uint32(value) ^ (entry & _CODE_POINT)
            size += 1
        else:
            gap = True
    return size


@njit(cache=True, nogil=True)
def _of_point(point):
    """The 64-bit hash of a character."""
    value = (np.uint64(point) + np.uint64(1)) * _BASE
    value = (value ^ (value >> np.uint64(32))) * _MIX_1
    return (value ^ (value >> np.uint64(29))) * _MIX_2


@njit(cache=True, nogil=True)
def _power(window):
    value = np.uint64(1)
    for _ in range(window):
        value *= _BASE
    return value


@njit(cache=True, nogil=True)
def _rolled(rolled, power, text, at, window):
    """The rolling hash of the `window` characters that end at `at`."""
    rolled = rolled * _BASE + _of_point(text[at])
    return rolled - power * _of_point(text[at - window]) if at >= window else rolled


@njit(cache=True, nogil=True)
def _finished(rolled):
    """The hash of a run of characters: the lower bits of a rolling hash are weak."""
    value = (rolled ^ (rolled >> np.uint64(31))) * _MIX_1
    return value ^ (value >> np.uint64(30))


@njit(cache=True, nogil=True)
def _is_in(value, values):
    at = np.searchsorted(values, value)
    return at < len(values) and values[at] == value


@njit(cache=True, nogil=True)
def hashes(text, size, window, every, out):
    """The hashes of the runs of `window` characters that `every` divides; returns their number."""
    rolled, power, count = np.uint64(0), _power(window), 0
    for at in range(size):
        rolled = _rolled(rolled, power, text, at, window)
        if at >= window - 1:
            out[count] = _finished(rolled)
            count += out[count] % every == 0
    return count


@njit(cache=True, nogil=True)
def sample(data, offsets, table, names, points, window, every, scratch, out):
    """The hashes of the runs of texts, see `hashes`; returns their number."""
    count = 0
    for k in range(len(offsets) - 1):
        size = normalise(data, offsets[k], offsets[k + 1], table, names, points, False, scratch)
        count += hashes(scratch, size, window, every, out[count:])
    return count


@njit(cache=True, nogil=True)
def unshared(data, offsets, table, names, points, shared, every, scratch, out):
    """The hashes of the pieces of texts in which no run of `SHARED` characters is shared (a sorted array of the hashes
    of these runs), and which `every` divides; returns their number."""
    count, whole, part = 0, _power(SIZE), _power(SHARED)
    for k in range(len(offsets) - 1):
        size = normalise(data, offsets[k], offsets[k + 1], table, names, points, False, scratch)
        of_piece = of_run = np.uint64(0)
        alone = 0  # characters since the beginning of the last run that is shared
        for at in range(size):
            of_piece = _rolled(of_piece, whole, scratch, at, SIZE)
            of_run = _rolled(of_run, part, scratch, at, SHARED)
            alone += 1
            if at >= SHARED - 1 and _is_in(_finished(of_run), shared):
                alone = SHARED - 1
            if alone >= SIZE:
                out[count] = _finished(of_piece)
                count += out[count] % every == 0
    return count


@njit(cache=True, nogil=True)
def find(data, offsets, table, names, points, markup, window, wanted, bits, shift, scratch, counts, found):
    """Add to `counts[k]` the number of runs of `window` characters of cell k that are in `wanted` (sorted hashes), and
    mark those in `found`.

    `bits` has a bit for the leading 64 - `shift` bits of every hash: most hashes need no further look.
    """
    power = _power(window)
    for k in range(len(offsets) - 1):
        if offsets[k + 1] - offsets[k] < window:
            continue
        size = normalise(data, offsets[k], offsets[k + 1], table, names, points, markup, scratch)
        rolled = np.uint64(0)
        for at in range(size):
            rolled = _rolled(rolled, power, scratch, at, window)
            if at < window - 1:
                continue
            value = _finished(rolled)
            place = value >> shift
            if bits[place >> np.uint64(3)] >> np.uint8(place & np.uint64(7)) & 1:
                index = np.searchsorted(wanted, value)
                if index < len(wanted) and wanted[index] == value:
                    counts[k] += 1
                    found[index] = 1


@njit(cache=True, nogil=True)
def _lower(byte):
    return byte | 32 if 65 <= byte <= 90 else byte


@njit(cache=True, nogil=True)
def _is_word(byte):
    return 48 <= byte <= 57 or 97 <= (byte | 32) <= 122 or byte == 45 or byte == 95  # letters, digits, - and _


@njit(cache=True, nogil=True)
def _free_before(data, first, place, kind):
    """Whether a name may begin after the byte at `place`."""
    if place < first:
        return True
    byte = data[place]
    if byte == 46:  # a subdomain is another host, except www.
        if kind >= REPOSITORY:  # or an id
            return True
        for k in range(1, 4):
            if place - k < first or data[place - k] | 32 != 119:
                return False
        return place - 4 < first or not _is_word(data[place - 4]) or (place - 5 >= first and data[place - 5] == 92)
    if not _is_word(byte):
        return True
    if place > first and data[place - 1] == _BACKSLASH and (byte == 110 or byte == 114 or byte == 116):  # \n \r \t
        return True
    if place - 1 > first and data[place - 2] == 37:  # %2F
        return True
    return place - 4 > first and data[place - 4] == 117 and data[place - 5] == _BACKSLASH  # \u003c


@njit(cache=True, nogil=True)
def _free_after(data, place, end, kind):
    """Whether a name may end before the byte at `place`."""
    if place >= end:
        return True
    byte = data[place]
    if byte == 46:
        return kind == ID or place + 1 >= end or not _is_word(data[place + 1])
    if byte == _BACKSLASH:
        return kind != ADDRESS or place + 1 >= end or data[place + 1] != 47
    if _is_word(byte):
        return False
    if kind == ADDRESS:
        if byte == _AND:  # &quot; ends an address, &amp; does not
            return place + 1 < end and data[place + 1] != 97
        return not (byte == 47 or byte == 63 or byte == 61 or byte == 37 or byte == 43 or byte == 126)  # / ? = % + ~
    return True


@njit(cache=True, nogil=True)
def _start_of(data, first, place, needle):
    """The place where the name that ends at `place` begins; -1 if another text ends there."""
    at = len(needle) - 1
    while at >= 0:
        while place >= first and data[place] == _BACKSLASH:
            place -= 1
        if place < first or _lower(data[place]) != needle[at]:
            return np.int64(-1)
        place -= 1
        at -= 1
    return np.int64(place + 1)


@njit(cache=True, nogil=True)
def find_names(data, offsets, needles, bounds, kinds, lengths, groups, anchors, owners, bits, hits):
    """Write (cell, place, place after it, number of the name) of every name in the cells to `hits`; returns the number
    of names, which may be larger than there is room for.

    `anchors` are the last up to 8 bytes of each name, sorted within groups of names of the same `lengths`; `owners` are
    the numbers of the names, `groups` the bounds of the groups. `bits` has a bit for every anchor.
    """
    total = 0
    for k in range(len(offsets) - 1):
        first, end = offsets[k], offsets[k + 1]
        seen = np.uint64(0)
        for place in range(first, end):
            byte = data[place]
            if byte == _BACKSLASH:
                continue
            seen = (seen << np.uint64(8)) | np.uint64(_lower(byte))
            for g in range(len(lengths)):
                anchor = seen
                if lengths[g] < 8:
                    anchor = seen & ((np.uint64(1) << np.uint64(8 * lengths[g])) - np.uint64(1))
                bit = (anchor * _BASE) >> np.uint64(48)
                if not bits[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7)) & 1:
                    continue
                at = groups[g] + np.searchsorted(anchors[groups[g] : groups[g + 1]], anchor)
                while at < groups[g + 1] and anchors[at] == anchor:
                    name = owners[at]
                    at += 1
                    start = _start_of(data, first, place, needles[bounds[name] : bounds[name + 1]])
                    if start < 0 or not _free_before(data, first, start - 1, kinds[name]):
                        continue
                    if not _free_after(data, place + 1, end, kinds[name]):
                        continue
                    if total < len(hits):
                        hits[total, 0], hits[total, 1], hits[total, 2], hits[total, 3] = k, start, place + 1, name
                    total += 1
    return total


@njit(cache=True, nogil=True)
def context(data, first, start, stop, end, table, names, points):
    """Hashes of the last piece before and of the first piece after a name; 0 where the cell is shorter."""
    scratch, out = np.empty(CONTEXT, np.uint32), np.empty(1, np.uint64)
    before = after = np.uint64(0)
    size = normalise(data, max(first, start - CONTEXT), start, table, names, points, False, scratch)
    if size >= SIZE and hashes(scratch[size - SIZE :], SIZE, SIZE, np.uint64(1), out):
        before = out[0]
    size = normalise(data, stop, min(end, stop + CONTEXT), table, names, points, False, scratch)
    if size >= SIZE and hashes(scratch, SIZE, SIZE, np.uint64(1), out):
        after = out[0]
    return before, after


@njit(cache=True, nogil=True)
def decode(tokens, offsets, spelled, bounds, out, out_offsets):
    """Write the bytes of lists of token ids to `out`; a token that the vocabulary lacks is nothing. Returns the number
    of bytes; `out` must have room for all."""
    size = 0
    for k in range(len(offsets) - 1):
        out_offsets[k] = size
        for at in range(offsets[k], offsets[k + 1]):
            token = tokens[at]
            if 0 <= token < len(bounds) - 1:
                for place in range(bounds[token], bounds[token + 1]):
                    out[size] = spelled[place]
                    size += 1
    out_offsets[len(offsets) - 1] = size
    return size
