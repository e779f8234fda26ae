"""The compiled kernels of deduplication: from UTF-8 bytes to hashes of shingles, and to MinHash signatures and sets.

A unit is a word or a character. All compiled functions that call each other are in this one file, because numba's
on-disk cache only notices changes of the file that a function is in. Functions do not allocate memory per text, and all
of them release the GIL.

What makes the kernels fast:

* Words are found 64 bytes at a time: a vector comparison gives one bit per byte, and words are runs of ones. There is
  no branch per byte, and a word of up to 16 bytes is hashed with one 128-bit multiplication. Blocks with bytes beyond
  ASCII are read code point by code point.
* A permutation costs a multiplication, an addition and a minimum per shingle, and nothing else: 64 permutations at a
  time stay in vector registers with their minima while all shingles of a buffer pass.
* Texts go through buffers of a few thousand units, so the data stays in the fastest caches and a huge text needs no
  more memory than a small one.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from resources.kernels import kernel

U64 = np.uint64
#: Units hashed per round: 32 kB of unit hashes and 16 kB of shingle hashes.
CHUNK = 4096
#: Shingles of up to this many units are hashed term by term.
SHORT = 8
#: Permutations that are computed at once, and the number of them in one vector register of the widest kind.
BLOCK, LANES = 64, 16

# Odd 64-bit numbers without structure (the fractional parts of the square roots of 2, 3, 5, 7 and 11).
_LEFT = U64(0x6A09E667F3BCC909)
_RIGHT = U64(0xBB67AE8584CAA73B)
#: Multiplier of the polynomial over unit hashes.
BASE = U64(0x3C6EF372FE94F82B)
_MIX_1 = U64(0xA54FF53A5F1D36F1)
_MIX_2 = U64(0x510E527FADE682D1)

#: Flags of an entry of the code-point table. Its lower 21 bits, XORed with the code point, give the lower case.
IS_WORD = np.uint32(1 << 24)
IS_SPACE = np.uint32(1 << 25)
_CODE_POINT = np.uint32((1 << 21) - 1)

#: Masks for a word's first and second 8 bytes by its length, 0 to 16: the bits that belong to the word.
MASKS = np.array(
    [[(1 << 8 * min(n, 8)) - 1 for n in range(17)], [(1 << 8 * max(n - 8, 0)) - 1 for n in range(17)]], dtype=np.uint64
)


def _address(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index], inbounds=True)


@intrinsic
def _load_8(typing_context, data, index):
    """The 8 bytes from `index`, little-endian; the caller makes sure that they exist."""

    def generate(context, builder, signature, arguments):
        pointer = _address(context, builder, signature.args[0], *arguments)
        return builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, types.intp), generate


@intrinsic
def _classify_64(typing_context, data, index):
    """(which are ASCII letters or digits, which are beyond ASCII) of the 64 bytes from `index`, one bit per byte."""

    def generate(context, builder, signature, arguments):
        byte, vector = ir.IntType(8), ir.VectorType(ir.IntType(8), 64)

        def every(value):
            return ir.Constant(vector, [ir.Constant(byte, value)] * 64)

        pointer = _address(context, builder, signature.args[0], *arguments)
        block = builder.load(builder.bitcast(pointer, vector.as_pointer()), align=1)
        lowered = builder.or_(block, every(0x20))
        letters = builder.icmp_unsigned("<", builder.sub(lowered, every(ord("a"))), every(26))
        digits = builder.icmp_unsigned("<", builder.sub(block, every(ord("0"))), every(10))
        beyond = builder.icmp_signed("<", block, every(0))
        bits = ir.IntType(64)
        words = builder.bitcast(builder.or_(letters, digits), bits)
        return cgutils.pack_array(builder, [words, builder.bitcast(beyond, bits)])

    return types.UniTuple(types.uint64, 2)(data, types.intp), generate


@intrinsic
def _fold(typing_context, left, right):
    """The high half XOR the low half of the 128-bit product of two uint64."""

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(value, wide) for value in arguments))
        high = builder.lshr(product, ir.Constant(wide, 64))
        return builder.trunc(builder.xor(product, high), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def _lowest(typing_context, bits):
    """The position of the lowest set bit of a uint64; 64 if no bit is set."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@kernel
def _decode(data, place, end):
    """(code point, its length in bytes) at `place`; a sequence that is cut off by the end is U+FFFD."""
    first = np.uint32(data[place])
    if first < 0x80:
        return first, 1
    length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if place + length > end:
        return np.uint32(0xFFFD), 1
    if length == 2:
        point = (first & np.uint32(0x1F)) << np.uint32(6)
        return np.uint32(point | (data[place + 1] & np.uint32(0x3F))), 2
    if length == 3:
        point = (first & np.uint32(0x0F)) << np.uint32(12)
        point |= (data[place + 1] & np.uint32(0x3F)) << np.uint32(6)
        return np.uint32(point | (data[place + 2] & np.uint32(0x3F))), 3
    point = (first & np.uint32(0x07)) << np.uint32(18)
    point |= (data[place + 1] & np.uint32(0x3F)) << np.uint32(12)
    point |= (data[place + 2] & np.uint32(0x3F)) << np.uint32(6)
    return np.uint32((point | (data[place + 3] & np.uint32(0x3F))) & _CODE_POINT), 4


@kernel
def _one_word(data, place, end, table):
    """(hash of the first word from `place`, place after it, whether there is a word), read code point by code point.

    Each code point is lower-cased. The bytes of the word are hashed 16 at a time, the last ones padded with zeros.
    """
    value = U64(0)
    low, high, filled = U64(0), U64(0), 0
    inside = False
    while place < end:
        point, length = _decode(data, place, end)
        entry = np.uint32(0) if point >= table.size else table[point]
        if not entry & IS_WORD:
            if inside:
                break
            place += length
            continue
        inside = True
        place += length
        point ^= entry & _CODE_POINT
        # Back to UTF-8: the lower case of a code point may have another length.
        if point < 0x80:
            encoded, length = U64(point), 1
        elif point < 0x800:
            encoded, length = U64(0xC0 | point >> 6 | (0x80 | point & 0x3F) << 8), 2
        elif point < 0x10000:
            encoded, length = U64(0xE0 | point >> 12 | (0x80 | point >> 6 & 0x3F) << 8 | (0x80 | point & 0x3F) << 16), 3
        else:
            encoded = U64(0xF0 | point >> 18 | (0x80 | point >> 12 & 0x3F) << 8)
            encoded, length = encoded | U64((0x80 | point >> 6 & 0x3F) << 16 | (0x80 | point & 0x3F) << 24), 4
        for _ in range(length):
            if filled == 16:
                value = _fold(low ^ _LEFT ^ value, high ^ _RIGHT)
                low, high, filled = U64(0), U64(0), 0
            byte = encoded & U64(0xFF)
            encoded >>= U64(8)
            if filled < 8:
                low |= byte << U64(8 * filled)
            else:
                high |= byte << U64(8 * (filled - 8))
            filled += 1
    if inside:
        value = _fold(low ^ _LEFT ^ value, high ^ _RIGHT)
    return value, place, inside


@kernel
def _words(data, place, end, table, masks, units, filled):
    """Append the hashes of the words from `place` (never inside a word) to `units`; (place reached, units filled)."""
    capacity = units.size
    letters = U64(0x4040404040404040)
    one, all_bits = U64(1), ~U64(0)
    while place < end and filled < capacity:
        if place + 80 <= data.size:  # room for a block, and for 16 bytes from any place in it
            word, beyond = _classify_64(data, place)
            inside = all_bits if end - place >= 64 else (one << U64(end - place)) - one
            stop = _lowest(beyond & inside)  # words that end before `stop` are plain ASCII
            word &= inside
            starts = word & ~(word << one)
            ends = ~word & (word << one)
            if stop < 64:
                ends &= (one << U64(stop)) - one
            elif end - place <= 63:
                stop = end - place
            reached = 0
            while ends and filled < capacity:
                start = _lowest(starts)
                after = _lowest(ends)
                starts &= starts - one
                ends &= ends - one
                value = U64(0)
                first, length = start, after - start
                while length > 16:
                    low, high = _load_8(data, place + first), _load_8(data, place + first + 8)
                    low |= (low & letters) >> one
                    high |= (high & letters) >> one
                    value = _fold(low ^ _LEFT ^ value, high ^ _RIGHT)
                    first += 16
                    length -= 16
                low = _load_8(data, place + first) & masks[0, length]
                high = _load_8(data, place + first + 8) & masks[1, length]
                low |= (low & letters) >> one  # makes capitals lower case: all bytes are ASCII letters or digits
                high |= (high & letters) >> one
                units[filled] = _fold(low ^ _LEFT ^ value, high ^ _RIGHT)
                filled += 1
                reached = after
            if ends:  # `units` is full
                return place + reached, filled
            # Move on to the word that does not end in this block, or past the characters between words.
            rest = starts if stop == 64 else starts & ((one << U64(stop)) - one)
            step = _lowest(rest) if rest else stop
            if step:
                place += step
                continue
            if filled == capacity:
                return place, filled
        # What the block above cannot read: a few words, code point by code point.
        until = place + 32
        while place < min(until, end) and filled < capacity:
            value, place, found = _one_word(data, place, end, table)
            if found:
                units[filled] = value
                filled += 1
    return place, filled


@kernel
def _point_hash(point):
    value = (U64(point) + U64(1)) * _MIX_1
    value ^= value >> U64(32)
    value *= _MIX_2
    return value ^ value >> U64(29)


@kernel
def _characters(data, place, end, table, plain, units, filled, pending):
    """Append the hashes of the normalised text's code points; (place reached, units filled, pending).

    `pending` is 0 before the first character, 1 after a character, and 2 after white space that follows a character.
    That white space becomes one space only when another character follows. `plain` has the hashes of the lower-cased
    ASCII characters.
    """
    capacity = units.size
    while place < end and filled < capacity - 1:  # room for a space and a character
        point, length = _decode(data, place, end)
        place += length
        entry = np.uint32(0) if point >= table.size else table[point]
        if entry & IS_SPACE:
            if pending:
                pending = 2
            continue
        if pending == 2:
            units[filled] = plain[32]
            filled += 1
        pending = 1
        if point < 128:
            units[filled] = plain[point]
        else:
            units[filled] = _point_hash(point ^ (entry & _CODE_POINT))
        filled += 1
    return place, filled, pending


@kernel
def _roll(units, filled, size, out, at):
    """Append the hash of every run of `size` units to `out` from `at`: the polynomial of the unit hashes mod 2^64."""
    count = filled - size + 1
    if size <= SHORT:  # term by term for all runs at once: vector instructions instead of a chain
        part = out[at : at + count]
        for run in range(count):
            part[run] = units[run + size - 1]
        power = BASE
        for back in range(2, size + 1):
            for run in range(count):
                part[run] += units[run + size - back] * power
            power *= BASE
        return at + count
    value, power = U64(0), U64(1)
    for k in range(size):
        value = value * BASE + units[k]
        power *= BASE
    out[at] = value
    for k in range(size, filled):
        value = value * BASE + units[k] - units[k - size] * power
        at += 1
        out[at] = value
    return at + 1


@kernel
def _shingles(data, start, end, size, as_characters, table, masks, plain, units, out, at):
    """Append the hashes of all shingles of one text, with repetitions, to `out`, and return the new length.

    The caller makes sure that `out` has room for them.
    """
    place, filled, pending, made = start, 0, 0, False
    while True:
        if as_characters:
            place, filled, pending = _characters(data, place, end, table, plain, units, filled, pending)
        else:
            place, filled = _words(data, place, end, table, masks, units, filled)
        if filled >= size:
            at = _roll(units, filled, size, out, at)
            made = True
            for k in range(size - 1):
                units[k] = units[filled - size + 1 + k]
            filled = size - 1
        if place >= end:
            break
    if not made and filled:
        at = _roll(units, filled, filled, out, at)
    return at


@kernel
def _mix_32(value):
    """The finaliser of MurmurHash3, as datasketch's affine32 scheme applies it to every shingle hash."""
    value = np.uint32(value ^ value >> np.uint32(16))
    value = np.uint32(value * np.uint32(0x85EBCA6B))
    value = np.uint32(value ^ value >> np.uint32(13))
    value = np.uint32(value * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ value >> np.uint32(16))


@intrinsic
def _minima_block(typing_context, hashes, count, a, b, out, first):
    """out[k] = min(out[k], min over `count` hashes of a[k] * hash + b[k] mod 2^32) for BLOCK permutations from `first`.

    Written with explicit vectors, because the compiler does not keep the coefficients and minima of a block in
    registers while it goes through the hashes, and does not use the widest registers.
    """

    def generate(context, builder, signature, arguments):
        hashes, count, a, b, out, first = arguments
        types_ = signature.args
        lane, vector = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

        def block(array_type, array, part):
            place = builder.add(first, ir.Constant(first.type, part * LANES))
            return builder.bitcast(_address(context, builder, array_type, array, place), vector.as_pointer())

        parts = range(BLOCK // LANES)
        factors = [builder.load(block(types_[2], a, part), align=4) for part in parts]
        terms = [builder.load(block(types_[3], b, part), align=4) for part in parts]
        places = [block(types_[4], out, part) for part in parts]
        minima = [cgutils.alloca_once_value(builder, builder.load(place, align=4)) for place in places]
        with cgutils.for_range(builder, count) as loop:
            value = builder.load(_address(context, builder, types_[0], hashes, loop.index))
            value = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(lane, 0))
            value = builder.shuffle_vector(value, value, everywhere)
            for factor, term, minimum in zip(factors, terms, minima, strict=True):
                permuted = builder.add(builder.mul(factor, value), term)
                old = builder.load(minimum)
                smaller = builder.icmp_unsigned("<", permuted, old)
                builder.store(builder.select(smaller, permuted, old), minimum)
        for place, minimum in zip(places, minima, strict=True):
            builder.store(builder.load(minimum), place, align=4)
        return

    return types.void(hashes, types.intp, a, b, out, types.intp), generate


@kernel
def sign(data, offsets, as_characters, words, characters, table, masks, plain, a, b, out):
    """Write the signatures of all texts to `out`: uint32[texts, a multiple of BLOCK], all ones on entry."""
    longest = max(words, characters)
    units = np.empty(CHUNK + longest, np.uint64)
    hashes = np.empty(CHUNK + longest, np.uint64)
    mixed = np.empty(CHUNK + longest, np.uint32)
    for row in range(out.shape[0]):
        minima = out[row]
        by_characters = as_characters[row]
        size = characters if by_characters else words
        place, end = offsets[row], offsets[row + 1]
        filled, pending, made = 0, 0, False
        while True:
            if by_characters:
                place, filled, pending = _characters(data, place, end, table, plain, units, filled, pending)
            else:
                place, filled = _words(data, place, end, table, masks, units, filled)
            count = 0
            if filled >= size:
                count = _roll(units, filled, size, hashes, 0)
                made = True
                for k in range(size - 1):
                    units[k] = units[filled - size + 1 + k]
                filled = size - 1
            elif place >= end and not made and filled:
                count = _roll(units, filled, filled, hashes, 0)
            if count:
                for k in range(count):
                    mixed[k] = _mix_32(np.uint32(hashes[k] >> U64(32)))
                for first in range(0, a.size, BLOCK):
                    _minima_block(mixed, count, a, b, minima, first)
            if place >= end:
                break


@kernel
def _sort(values, spare, counts):
    """Sort uniformly distributed uint64 in place.

    The values are put into four times as many buckets by their leading bits. Few values are out of order after that,
    and they are moved into place. If a bucket is full (because one shingle is repeated often, or because somebody chose
    a text for its hashes), numpy's sort is used, whose time does not depend on the values.
    """
    size = values.size
    bits = 2
    while 1 << bits < 4 * size and 1 << (bits + 1) < counts.size:
        bits += 1
    shift = U64(64 - bits)
    counts[: (1 << bits) + 1] = 0
    for k in range(size):
        counts[(values[k] >> shift) + U64(1)] += 1
    most = np.int32(0)
    for k in range(1 << bits):
        most = max(most, counts[k + 1])
        counts[k + 1] += counts[k]
    if most > 32:
        values[:] = np.sort(values)
        return
    for k in range(size):
        bucket = values[k] >> shift
        spare[counts[bucket]] = values[k]
        counts[bucket] += 1
    values[0] = spare[0]
    for k in range(1, size):
        value, place = spare[k], k
        while place and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@kernel
def sets(data, offsets, as_characters, only, words, characters, table, masks, plain, out, bounds):
    """Write the sorted unique shingle hashes of all texts to `out`, one text after the other; return their number.

    bounds[row] is where the hashes of a row begin. `only` says which rows are wanted; the others get empty sets. `out`
    must have room for all shingles of all wanted texts, with repetitions.
    """
    longest = 0
    for row in range(bounds.size - 1):
        if only[row]:
            longest = max(longest, offsets[row + 1] - offsets[row])
    spare = np.empty(longest + 1, np.uint64)
    counts = np.empty(min(1 << 20, 8 * longest + 8) + 1, np.int32)
    units = np.empty(CHUNK + max(words, characters), np.uint64)
    at = 0
    bounds[0] = 0
    for row in range(bounds.size - 1):
        bounds[row + 1] = at
        if not only[row]:
            continue
        size = characters if as_characters[row] else words
        end = _shingles(
            data, offsets[row], offsets[row + 1], size, as_characters[row], table, masks, plain, units, out, at
        )
        if end - at > 1:
            _sort(out[at:end], spare, counts)
            last = at
            for k in range(at + 1, end):
                if out[k] != out[last]:
                    last += 1
                    out[last] = out[k]
            end = last + 1
        at = end
        bounds[row + 1] = at
    return at


@kernel
def bands(signatures, rows, nothing, out):
    """out[text, band] = hash of the band's number and its `rows` minima; `nothing` for texts without shingles."""
    full = np.uint32(0xFFFFFFFF)
    for text in range(out.shape[0]):
        some, k = False, 0
        while not some and k < signatures.shape[1]:
            some = signatures[text, k] != full
            k += 1
        if not some:
            out[text] = nothing
            continue
        for band in range(out.shape[1]):
            value, k = U64(band + 1) * _MIX_1, band * rows
            for _ in range(rows // 2):  # two minima at a time
                both = U64(signatures[text, k]) << U64(32) | U64(signatures[text, k + 1])
                value = _fold(value ^ both ^ _LEFT, _RIGHT)
                k += 2
            if rows % 2:
                value = _fold(value ^ U64(signatures[text, k]) ^ _LEFT, _RIGHT)
            number = np.int64(value ^ value >> U64(32))
            out[text, band] = number if number != nothing else np.int64(0)


@kernel
def hash_points(points):
    """The unit hash of every code point."""
    out = np.empty(points.size, np.uint64)
    for k in range(points.size):
        out[k] = _point_hash(points[k])
    return out


@kernel
def jaccard(offsets, hashes, other_offsets, other_hashes, left, right, out):
    """out[k] = shared hashes / all hashes of row left[k] of the first sets and row right[k] of the other sets."""
    for pair in range(left.size):
        i, i_end = offsets[left[pair]], offsets[left[pair] + 1]
        j, j_end = other_offsets[right[pair]], other_offsets[right[pair] + 1]
        total = (i_end - i) + (j_end - j)
        shared = 0
        while i < i_end and j < j_end:  # no branch, because which hash is smaller cannot be predicted
            x, y = hashes[i], other_hashes[j]
            shared += np.int64(x == y)
            i += np.int64(x <= y)
            j += np.int64(y <= x)
        out[pair] = shared / (total - shared) if total else 0.0
