# What the drivers' own extensions use of the codec without a detour through Python objects. They
# are built with this one; who cimports it from an installed wheel gets no promise.
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .csrc cimport WSF_CONTROL_MAX, wsf_event, wsf_header, wsf_parser

cdef enum:
    KEYS = 64             # masking keys drawn from the system at once
    AFTER_LARGE = 4096    # bytes to receive at once where the next message may be large again

cdef enum Added:
    ADDED = 0
    NO_KEYS = 1           # draw some, without the mutex, and try again
    NO_MEMORY = 2


cdef int get_bytes(data, Py_buffer *source) except -1

cdef size_t encode_header(uint8_t *to, const wsf_header *header) noexcept nogil
cdef void put_payload(uint8_t *to, const uint8_t *data, size_t size,
                      wsf_header *header) noexcept nogil


cdef class _Window:
    cdef object owner
    cdef uint8_t *data
    cdef Py_ssize_t size
    cdef int exports


cdef class Decoder:
    cdef wsf_parser parser
    cdef Py_ssize_t chunk_size
    cdef object chunk          # bytearray
    cdef object chunk_view     # memoryview of it that is never lent, so nobody can release it
    cdef Py_ssize_t room       # bytes that may be received: what get_buffer() offered
    cdef uint8_t *source       # where that is
    cdef Py_ssize_t near_size  # bytes of the buffer that was lent to target()
    cdef bint much             # at least so many have come last
    cdef bint in_message       # and whether that was the memory of the message being received
    cdef _Window window
    cdef object window_view    # the memoryview handed out last, if it was of a window
    cdef bint large            # the last message was
    cdef readonly bint control
    cdef readonly Py_ssize_t message_bytes

    cdef uint8_t *target(self, Py_ssize_t *size, uint8_t *near, Py_ssize_t near_size) except NULL
    cdef list arrived(self, Py_ssize_t size)
    cdef object message_buffer(self)
    cdef list arrived_at(self, uint8_t *data, Py_ssize_t size)
    cdef object _lend(self, uint8_t *data, Py_ssize_t size)
    cdef Py_ssize_t _offer(self, uint8_t **data) noexcept
    cdef int _need_chunk(self) except -1
    cdef int _release_window(self) except -1
    cdef list _events(self, list events)
    cdef int _add_shorts(self, list events) except -1
    cdef object _text(self, const uint8_t *data, size_t size, bint ascii)
    cdef object _item(self, wsf_event *event)
    cdef object _take_block(self, size_t size)


cdef class Outbox:
    # `mutex` guards every field. Whoever holds it allocates at most a bytes object, and never gives
    # the GIL up, so it may be waited for with the GIL and without.
    cdef PyThread_type_lock mutex
    cdef PyObject *buffer      # bytes object being filled, or NULL
    cdef size_t size, room
    cdef PyObject *spare       # one that has been sent, to be filled next, or NULL
    cdef size_t spare_room
    cdef Py_ssize_t frame_count
    cdef uint64_t message_count
    cdef bint is_open, masked
    cdef unsigned int keys_drawn_after, next_key
    cdef uint32_t keys[KEYS]
    cdef bint pong_waits
    cdef uint32_t pong_key
    cdef size_t pong_size
    cdef uint8_t pong_data[WSF_CONTROL_MAX]

    # With the mutex held:
    cdef void lock(self) noexcept nogil
    cdef void unlock(self) noexcept nogil
    cdef Added add(self, uint8_t opcode, bint fin, bint rsv1, const uint8_t *data,
                   size_t size) noexcept
    cdef Added add_framed(self, const uint8_t *data, size_t size) noexcept
    cdef PyObject *take_block(self, size_t *size, size_t *room) noexcept nogil
    cdef void give_back(self, PyObject *block, size_t room) noexcept nogil

    # Without it:
    cdef int draw_keys(self) except -1
    cdef bint _put_aside(self, bytes data, size_t backlog) except -1
    cdef void trim(self) noexcept
    cdef int _append(self, uint8_t opcode, bint fin, bint rsv1, const uint8_t *data,
                     size_t size) except -1
    cdef int _text(self, data) except -1
    cdef int _control(self, uint8_t opcode, data) except -1
    cdef int _buffer(self, uint8_t opcode, bint fin, bint rsv1, data) except -1

    # Inside:
    cdef size_t _head_size(self, size_t size) noexcept nogil
    cdef bint _has_key(self) noexcept
    cdef uint32_t _key(self) noexcept
    cdef Added _reserve(self, size_t more) noexcept
    cdef void _put(self, uint8_t opcode, bint fin, bint rsv1, uint32_t key, const uint8_t *data,
                   size_t size) noexcept nogil
