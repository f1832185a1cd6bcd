"""Masking against a loop over the bytes, by every code that this processor runs."""

import array
import mmap
import os

import pytest
from codec_wire import KEY, mask
from hypothesis import given
from hypothesis import strategies as st

from wsfast.codec import apply_mask, apply_mask_in_place, implementation, implementations

# Run in an interpreter of its own, because the code is chosen at import. Offsets past 32 bytes
# repeat the alignments.
EVERY_LENGTH = """
from wsfast.codec import Decoder, Outbox, apply_mask, apply_mask_in_place, implementation

key = bytes.fromhex("37fa213d")
guard = b"\\xa5" * 8
data = bytes((i * 7 + i // 256) % 256 for i in range(400))
masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(data))
for length in range(301):
    for offset in range(33):
        # The loop's result from `offset` on is that of the rotated key from the start.
        turned = key[offset % 4 :] + key[: offset % 4]
        part = memoryview(data)[offset : offset + length]
        assert apply_mask(part, turned) == masked[offset : offset + length], (length, offset)
        target = bytearray(guard * 5 + part + guard)
        view = memoryview(target)[offset : offset + length]
        view[:] = part
        before, after = bytes(target[:offset]), bytes(target[offset + length :])
        rest = apply_mask_in_place(view, turned)
        assert view == masked[offset : offset + length], (length, offset)
        assert target[:offset] == before, (length, offset)
        assert target[offset + length :] == after, (length, offset)
        assert rest == turned[length % 4 :] + turned[: length % 4], (length, offset)
    client, server = Outbox(), Decoder(server=True)
    for padding in range(5):
        client.binary(b"x" * padding)
        client.binary(data[:length])
    assert server.feed(client.take())[1::2] == [data[:length]] * 5, length
print(implementation())
"""


@pytest.mark.parametrize("name", implementations())
def test_every_length_and_offset(name: str, run_python) -> None:
    assert run_python(EVERY_LENGTH, WSFAST_IMPLEMENTATION=name).split() == [name]


@given(data=st.binary(max_size=2000), key=st.binary(min_size=4, max_size=4))
def test_as_the_loop(data: bytes, key: bytes) -> None:
    masked = apply_mask(data, key)
    assert masked == mask(data, key)
    assert apply_mask(masked, key) == data


@given(
    data=st.binary(max_size=500),
    key=st.binary(min_size=4, max_size=4),
    sizes=st.lists(st.integers(0, 200), max_size=8),
)
def test_in_place_piece_by_piece(data: bytes, key: bytes, sizes: list[int]) -> None:
    target = bytearray(data)
    rest, at = key, 0
    for size in [*sizes, len(data)]:
        rest = apply_mask_in_place(memoryview(target)[at : at + size], rest)
        at = min(at + size, len(data))
    assert target == mask(data, key)


def test_large() -> None:
    data = os.urandom(1_000_001)
    masked = apply_mask(data, KEY)
    assert masked == mask(data, KEY)
    assert apply_mask(masked, KEY) == data


class TestInputs:
    def test_result_is_new_bytes(self) -> None:
        data = bytearray(b"hello")
        masked = apply_mask(data, bytes(4))
        assert type(masked) is bytes
        data.clear()
        assert masked == b"hello"

    @pytest.mark.parametrize(
        "data",
        [bytearray(b"abcd"), memoryview(b"xabcd")[1:], array.array("H", b"abcd")],
        ids=["bytearray", "memoryview", "array"],
    )
    def test_any_buffer(self, data: object) -> None:
        assert apply_mask(data, KEY) == mask(b"abcd", KEY)
        assert apply_mask(b"abcd", data) == bytes(4)

    def test_strided(self) -> None:
        data = memoryview(b"a-b-c-d-")[::2]
        assert apply_mask(data, KEY) == mask(b"abcd", KEY)
        assert apply_mask(b"abcd", data) == bytes(4)

    def test_in_place_in_any_writable_buffer(self) -> None:
        with mmap.mmap(-1, 16) as mapped:
            mapped[:4] = b"abcd"
            apply_mask_in_place(mapped, KEY)
            assert mapped[:4] == mask(b"abcd", KEY)
        words = array.array("H", b"abcd")
        apply_mask_in_place(words, KEY)
        assert words.tobytes() == mask(b"abcd", KEY)

    def test_in_place_needs_a_writable_buffer(self) -> None:
        for data in (b"abcd", memoryview(b"abcd"), memoryview(bytearray(4)).toreadonly()):
            with pytest.raises(BufferError):
                apply_mask_in_place(data, KEY)
        target = bytearray(b"a-b-")
        with pytest.raises(BufferError):
            apply_mask_in_place(memoryview(target)[::2], KEY)
        assert target == b"a-b-"

    def test_key_of_itself(self) -> None:
        data = bytearray(b"abcd")
        assert apply_mask_in_place(data, data) == b"abcd"
        assert data == bytes(4)

    @pytest.mark.parametrize("key", [b"", b"abc", b"abcde", memoryview(b"abcdefgh")[::4]])
    def test_key_has_four_bytes(self, key: object) -> None:
        target = bytearray(b"abcd")
        for function in (apply_mask, apply_mask_in_place):
            with pytest.raises(ValueError, match="4 bytes"):
                function(target, key)
        assert target == b"abcd"

    @pytest.mark.parametrize("wrong", ["abcd", 4, None, [1, 2, 3, 4]])
    def test_wrong_types(self, wrong: object) -> None:
        for function in (apply_mask, apply_mask_in_place):
            with pytest.raises(TypeError):
                function(wrong, KEY)
            with pytest.raises(TypeError):
                function(bytearray(4), wrong)

    def test_buffers_are_let_go(self) -> None:
        data, key = bytearray(b"abcd"), bytearray(4)
        apply_mask(data, key)
        apply_mask_in_place(data, key)
        data.clear()
        key.clear()


class TestImplementation:
    def test_names(self) -> None:
        names = implementations()
        assert names[0] == "scalar"
        assert set(names) <= {"scalar", "sse2", "avx2", "avx512", "neon"}
        assert len(set(names)) == len(names)

    @pytest.mark.skipif("WSFAST_IMPLEMENTATION" in os.environ, reason="an implementation is forced")
    def test_best_is_chosen(self) -> None:
        assert implementation() == implementations()[-1]

    def test_lists_are_not_shared(self) -> None:
        implementations().clear()
        assert implementations()

    def test_empty_name_chooses_the_best(self, run_python) -> None:
        script = "from wsfast.codec import *; print(implementation() == implementations()[-1])"
        assert run_python(script, WSFAST_IMPLEMENTATION="").split() == ["True"]

    @pytest.mark.parametrize("name", ["nonsense", "SCALAR", " scalar", "scalar2", "é", "sse"])
    def test_unknown_name_fails_the_import(self, name: str, run_python) -> None:
        script = """
try:
    import wsfast.codec
except ImportError as error:
    print(ascii(str(error)))
"""
        message = run_python(script, WSFAST_IMPLEMENTATION=name)
        assert f"WSFAST_IMPLEMENTATION={ascii(name)[1:-1]}" in message
        assert ", ".join(implementations()) in message

    @pytest.mark.skipif(os.name == "nt", reason="the environment is text here")
    def test_name_that_is_not_text(self, run_python) -> None:
        script = """
try:
    import wsfast.codec
except ImportError as error:
    print(ascii(str(error)))
"""
        assert "WSFAST_IMPLEMENTATION=" in run_python(
            script, WSFAST_IMPLEMENTATION=os.fsdecode(b"\xff")
        )
