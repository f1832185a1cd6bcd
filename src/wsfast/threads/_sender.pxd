# What `_receiver.pyx` uses of the sender.
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport uint8_t, uint64_t

from wsfast.codec._codec cimport Outbox
from wsfast.codec.csrc cimport wsf_header

cdef extern from "sockets.h" nogil:
    ctypedef int wsfast_socket

cdef enum Next:
    NOTHING    # somebody else writes
    WRITE      # this thread has the role, and something to write
    WAKE       # the write thread has been given the role
    START      # and is to be started
    FREED      # nobody writes any more, and the connection wants to know
    ROOM       # somebody waits for room, and there is some
    ENCODE     # the stream has to encode what was taken
    LET_GO     # what it has made of it has been sent


cdef class Sender:
    cdef readonly Outbox outbox
    cdef wsfast_socket fd
    cdef object stream         # None unless it encodes what is sent
    cdef size_t max_bytes
    cdef Py_ssize_t max_frames
    cdef double gap
    cdef long long idle        # microseconds
    cdef PyThread_type_lock work  # released to wake the write thread
    # mutex:
    cdef bint started, is_over, is_broken, writing, thread_has_role, thread_runs
    cdef bint thread_writes    # it has come to it; until then others may take the role from it
    cdef bint heard_since, room_wanted
    cdef double sent_at
    cdef size_t in_flight      # bytes taken and not sent
    cdef uint64_t sent_count   # messages that have left
    # role:
    cdef PyObject *block       # what was taken from the outbox, or NULL
    cdef size_t block_size, block_room
    cdef object encoded        # what the stream has made of it
    cdef const uint8_t *wire   # what of either is still to be sent
    cdef size_t left
    cdef uint64_t taken_count  # messages that had been added when it was taken

    cdef void _heard(self) noexcept nogil
    cdef int _send_any(self, data) except -1
    cdef bint _send(self, uint8_t opcode, const uint8_t *data, size_t size) except -1
    cdef int _go(self, Next then) except -1
    cdef bint _send_large(self, uint8_t opcode, const uint8_t *data, size_t size) except -1
    cdef bint _take_role_for(self, wsf_header *header, uint8_t opcode, size_t size) except -1
    cdef bint _keep_rest(self, wsf_header *header, const uint8_t *data, size_t size) noexcept
    cdef bint _write_some(self) noexcept nogil
    cdef Next _write_inline(self) except? NOTHING
    cdef Next _end_write(self, bint all_sent) noexcept
    cdef bint _is_burst(self) noexcept nogil
    cdef bint _write(self) except -1
    cdef int _encode(self) except -1
    cdef void _break(self) noexcept nogil
    cdef void _let_wire_go(self) noexcept
    cdef bint _fits(self, size_t size) noexcept nogil
    cdef Next _after_adding(self) noexcept nogil
    cdef Next _hand_over(self) noexcept nogil
    cdef void _take(self) noexcept nogil
    cdef Next _give_back(self) noexcept nogil
    cdef bint _wait_for_role(self) except -1
    cdef Next _write_until_asked(self) noexcept nogil
    cdef void _note_sent(self) noexcept nogil
    cdef bint _yield_role(self) noexcept nogil
    cdef Next _note_progress(self) noexcept nogil
    cdef Next _room(self) noexcept nogil
