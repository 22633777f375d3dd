"""Addresses of pixels, halos and taps, against a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout_case import NO_HALO, ONE, Halo, convolutions, halos

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout, dealt, padded, plain, split, split_height, split_width

sizes = st.integers(1, 9)


def pixel_addresses(layout: PlaneLayout, planes: int) -> np.ndarray:
    """Address of every pixel of an unsplit layout, ``(planes, h, w)``."""
    plane, row, col = np.ogrid[:planes, : layout.h, : layout.w]
    return layout.lead + plane * layout.channel + row * layout.pitch + col


def halo_addresses(layout: PlaneLayout, planes: int) -> np.ndarray:
    """Address of every pixel of the halo, flat."""
    top, left, bottom, right = layout.halo
    plane, row, col = np.ogrid[:planes, -top : layout.h + bottom, -left : layout.w + right]
    where = layout.lead + plane * layout.channel + row * layout.pitch + col
    inside = (row >= 0) & (row < layout.h) & (col >= 0) & (col < layout.w) & (plane >= 0)
    return where[~inside]


@given(h=sizes, w=sizes, planes=st.integers(1, 3), halo=halos, room=st.integers(0, 5))
def test_pixels_and_halo_have_places_of_their_own(h: int, w: int, planes: int, halo: Halo, room: int) -> None:
    layout = padded(h, w, halo=halo, pitch=w + max(halo[1], halo[3]) + room)
    pixels, zeros = pixel_addresses(layout, planes), halo_addresses(layout, planes)
    assert len(np.unique(pixels)) == pixels.size
    assert not np.intersect1d(pixels, zeros).size
    both = np.concatenate([pixels.ravel(), zeros])
    assert both.min() >= 0
    assert both.max() < layout.size(planes)


@given(h=sizes, w=sizes, halo=halos)
def test_tap_offset_is_the_address_in_the_first_plane(h: int, w: int, halo: Halo) -> None:
    layout = padded(h, w, halo=halo, pitch=w + max(halo[1], halo[3]))
    assert layout.tap_offset(0, 0) == pixel_addresses(layout, 1)[0, 0, 0]
    assert layout.tap_offset(h - 1, w - 1) == pixel_addresses(layout, 1)[0, -1, -1]
    assert layout.tap_offset(-halo[0], -halo[1]) >= 0


@given(h=sizes, w=sizes, halo=halos, room=st.integers(0, 5))
def test_dealt_planes_have_rows_two_apart_one_pitch_apart(h: int, w: int, halo: Halo, room: int) -> None:
    top, left, bottom, right = halo
    layout = dealt(h, w, halo=halo, pitch=w + max(left, right) + room)
    places = {(r, c): layout.tap_offset(r, c) for r in range(-top, h + bottom) for c in range(-left, w + right)}
    pixels = {places[r, c] for r in range(h) for c in range(w)}
    halo_places = {at for (r, c), at in places.items() if not (0 <= r < h and 0 <= c < w)}
    assert len(pixels) == h * w
    assert not pixels & halo_places
    assert min(places.values()) >= 0
    assert max(places.values()) < layout.size(1)
    for (row, col), at in places.items():
        assert places.get((row + 2, col), at + layout.pitch) == at + layout.pitch
        assert places.get((row, col + 2), at + 1) == at + 1


def test_a_pitch_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="pitch 8 has no room"):
        padded(5, 7, halo=(0, 2, 0, 1), pitch=8)


def test_nothing_to_pad_is_plain() -> None:
    assert padded(5, 7, halo=NO_HALO, pitch=7) == plain(5, 7)
    assert plain(5, 7).is_plain
    assert not padded(5, 7, halo=NO_HALO, pitch=8).is_plain
    assert plain(5, 7).size(6) == 210


def test_large_planes_are_an_odd_number_of_cache_lines_apart() -> None:
    assert padded(64, 62, halo=ONE, pitch=64).plane % 32 == 16
    assert padded(2, 3, halo=ONE, pitch=5).plane % 16 == 0


@given(spec=convolutions(groups=False), room=st.integers(0, 4))
def test_taps_of_a_phase_layout_read_consecutive_floats(spec: ConvSpec, room: int) -> None:
    spec = replace(spec, stride=(max(spec.stride[0], 2), spec.stride[1]))
    layout = split(spec, pitch=split_width(spec) + room)
    row, col = np.ogrid[: spec.oh, : spec.ow]
    seen: dict[int, tuple[int, int]] = {}
    for a in range(spec.kh):
        for b in range(spec.kw):
            y, x = a * spec.dilation[0], b * spec.dilation[1]
            where = layout.tap_offset(y, x) + row * layout.pitch + col
            pixels = [(y + r * spec.stride[0], x + c * spec.stride[1]) for r in range(spec.oh) for c in range(spec.ow)]
            for address, pixel in zip(where.ravel().tolist(), pixels, strict=True):
                assert seen.setdefault(address, pixel) == pixel
                assert 0 <= address < layout.channel
    assert len(set(seen.values())) == len(seen)
    assert layout.plane >= split_height(spec) * layout.pitch
