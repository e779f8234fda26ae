"""Decodes structures in Thrift's compact protocol, in which Parquet describes its files and pages."""

from __future__ import annotations


class Undecodable(ValueError):
    """The data are not what Thrift's compact protocol allows here, or end early."""


def structure(data: bytes, place: int) -> tuple[dict, int]:
    """The structure at a place as values by field number, and the place after it. Raises `Undecodable`."""
    try:
        return _structure(data, place)
    except (IndexError, RecursionError) as problem:
        raise Undecodable("a structure of a Parquet file ends early, or is nested too deeply") from problem


def _structure(data: bytes, place: int) -> tuple[dict, int]:
    """The structure at a place as values by field number, and the place after it."""
    fields: dict = {}
    number = 0
    while kind := data[place]:
        place += 1
        if kind >> 4:
            number += kind >> 4
        else:
            number, place = _signed(data, place)
        fields[number], place = _value(data, place, kind & 15)
    return fields, place + 1


def _value(data: bytes, place: int, kind: int):
    """The value of a Thrift type at a place, and the place after it."""
    if kind in (1, 2):
        return kind == 1, place
    if kind == 3:
        return data[place], place + 1
    if kind in (4, 5, 6):
        return _signed(data, place)
    if kind in (7, 8):
        size, place = (8, place) if kind == 7 else _unsigned(data, place)
        if place + size > len(data):
            raise IndexError
        return data[place : place + size], place + size
    if kind in (9, 10):
        size, kind = data[place] >> 4, data[place] & 15
        place += 1
        if size == 15:
            size, place = _unsigned(data, place)
        values = []
        for _ in range(size):
            # In a list, a Boolean takes one byte; elsewhere it is part of its type.
            value, place = (data[place] == 1, place + 1) if kind in (1, 2) else _value(data, place, kind)
            values.append(value)
        return values, place
    if kind == 12:
        return _structure(data, place)
    raise Undecodable(f"a structure of a Parquet file has a value of the unknown Thrift type {kind}")


def _unsigned(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise Undecodable("a number of a Parquet file has more than 64 bits")


def _signed(data: bytes, place: int) -> tuple[int, int]:
    value, place = _unsigned(data, place)
    return value >> 1 ^ -(value & 1), place
