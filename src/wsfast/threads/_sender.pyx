# cython: language_level=3, binding=True, embedsignature=False
# cython: freethreading_compatible=True, autotestdict=False, auto_pickle=False
"""Who writes, and how: the part of `writer.py` that each message goes through, without a lock of
Python's and, on the write thread, without the GIL. The documentation is in _sender.pyi.

At any time at most one thread has the writing role. The fields under "mutex" are guarded by that of
the outbox, those under "role" belong to who has the role; the others do not change.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_release_lock, PyThread_type_lock,
)
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from wsfast.codec._codec cimport (
    ADDED, NO_MEMORY, Added, Outbox, encode_header, get_bytes, put_payload,
)
from wsfast.codec.csrc cimport WSF_BINARY, WSF_HEADER_MAX, WSF_TEXT, wsf_header

cdef extern from "sockets.h" nogil:
    int wsfast_poll(wsfast_socket fd, int write, int milliseconds)
    ptrdiff_t wsfast_send(wsfast_socket fd, const void *data, size_t size)
    double wsfast_now()
    void wsfast_yield()


cdef extern from *:
    char *bytes_content "PyBytes_AS_STRING"(PyObject *bytes) nogil
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size)
    void Py_XDECREF(PyObject *o)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from "pythread.h" nogil:
    int PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds, int interrupt)

cdef enum:
    HOLD = 4096          # bytes that are sent without giving up the GIL, which takes as long
    BATCH = 256 * 1024   # bytes that are sent at once best: more fall out of the cache
    PIECE = 120 * 1024   # bytes of a message masked at once: they stay in the cache

@cython.final
cdef class Senders:
    cdef dict senders
    cdef object error

    def __cinit__(self, error):
        self.senders = {}
        self.error = error

    def set(self, id, Sender sender not None):
        self.senders[id] = sender

    def discard(self, id):
        self.senders.pop(id, None)

    def clear(self):
        # Another dict, as another thread may have held the lock of this one in a process that has
        # forked.
        self.senders = {}

    def send(self, id, data):
        """Sends a message: `str` as text, bytes-like data as binary (seed 004).

        Returns True once the message is sent or queued. False, and nothing was queued: while
        connecting (again), after the end, for an unknown id, or when the send queue had no room
        within `write_timeout`.

        Raises `TypeError` for other data, `ValueError` for a `str` with lone surrogates.
        """
        if not isinstance(id, int):
            raise TypeError(f"id: expected an int, not {type(id).__name__}")
        cdef object sender = self.senders.get(id)
        if sender is None:
            if not isinstance(data, str):
                memoryview(data).release()  # raises for what can never be sent
            return False
        try:
            (<Sender>sender)._send_any(data)
        except self.error:
            return False
        return True


cdef class Sender:
    def __cinit__(self, Outbox outbox not None, *, size_t max_bytes, Py_ssize_t max_frames,
                  double gap, double idle):
        self.work = PyThread_allocate_lock()
        if self.work == NULL:
            raise MemoryError
        PyThread_acquire_lock(self.work, NOWAIT_LOCK)
        self.outbox = outbox
        self.max_bytes = max_bytes
        self.max_frames = max_frames
        self.gap = gap
        self.idle = <long long>(idle * 1e6)
        self.heard_since = True

    def __dealloc__(self):
        Py_XDECREF(self.block)
        if self.work != NULL:
            PyThread_free_lock(self.work)

    def begin(self, fd, stream=None):
        self.fd = fd
        self.stream = stream
        self.outbox.lock()
        self.started = True
        self.outbox.unlock()

    def end(self):
        """False, and nothing is changed, while somebody writes."""
        self.outbox.lock()
        cdef bint writing = self.writing, wake = False
        if not writing:
            self.started = False
            self.is_over = True
            wake = self.thread_runs
        self.outbox.unlock()
        if wake:
            PyThread_release_lock(self.work)
        return not writing

    # -------------------------------------------------------------- what is asked

    @property
    def busy(self):
        self.outbox.lock()
        busy = self.writing
        self.outbox.unlock()
        return busy

    @property
    def broken(self):
        self.outbox.lock()
        broken = self.is_broken
        self.outbox.unlock()
        return broken

    @property
    def unsent(self):
        self.outbox.lock()
        unsent = self.outbox.message_count - self.sent_count
        self.outbox.unlock()
        return unsent

    def fits(self, size_t size):
        self.outbox.lock()
        cdef bint fits = self._fits(size)
        if not fits:
            self.room_wanted = True
        self.outbox.unlock()
        return fits

    cdef void _heard(self) noexcept nogil:
        self.outbox.lock()
        self.heard_since = True
        self.outbox.unlock()

    # -------------------------------------------------------------- sending

    def send(self, data):
        self._send_any(data)

    cdef int _send_any(self, data) except -1:
        cdef Py_ssize_t size
        cdef const char *encoded
        cdef Py_buffer source
        cdef bint sent
        if type(data) is bytes:
            size = PyBytes_GET_SIZE(data)
            sent = self._send(WSF_BINARY, <const uint8_t *>PyBytes_AS_STRING(data), size)
        elif isinstance(data, str):
            encoded = PyUnicode_AsUTF8AndSize(data, &size)
            sent = self._send(WSF_TEXT, <const uint8_t *>encoded, size)
        else:
            get_bytes(data, &source)
            size = source.len
            try:
                sent = self._send(WSF_BINARY, <const uint8_t *>source.buf, size)
            finally:
                PyBuffer_Release(&source)
        if not sent:
            self.send_slowly(data, size)
        return 0

    def kick(self):
        self.outbox.lock()
        cdef Next then = self._after_adding()
        self.outbox.unlock()
        self._go(then)

    def take_role(self):
        """Returns what `go` is to be called with."""
        cdef Next then = NOTHING
        cdef bint wanted = self.stream is not None and self.stream.has_output
        self.outbox.lock()
        if self.started and not self.writing and (
            wanted or self.outbox.size or not self.outbox.is_open
        ):
            self._take()
            then = WRITE
        self.outbox.unlock()
        return then

    def go(self, Next then):
        self._go(then)

    def fail(self):
        """By who has the role."""
        self.outbox.lock()
        self.is_broken = True
        self.thread_has_role = False
        self._let_wire_go()
        cdef Next then = self._give_back()
        self.outbox.unlock()
        self._go(then)

    cdef bint _send(self, uint8_t opcode, const uint8_t *data, size_t size) except -1:
        """False if it cannot be done without asking the connection."""
        cdef Outbox outbox = self.outbox
        cdef Added added
        cdef Next then = NOTHING
        if size > PIECE and self.stream is None and self._send_large(opcode, data, size):
            return True
        while True:
            outbox.lock()
            if not outbox.is_open or self.is_broken or not self.started or not self._fits(size):
                outbox.unlock()
                return False
            added = outbox.add(opcode, True, False, data, size)
            if added == ADDED:
                then = self._after_adding()
                outbox.unlock()
                break
            outbox.unlock()
            if added == NO_MEMORY:
                raise MemoryError
            outbox.draw_keys()
        if then != NOTHING:
            self._go(then)
        return True

    cdef int _go(self, Next then) except -1:
        """Does what was decided with the mutex held, without it."""
        if then == WRITE:
            then = self._write_inline()
        if then == WAKE:
            PyThread_release_lock(self.work)
        elif then == START:
            self.start_thread()
        elif then == FREED:
            self.freed()
        return 0

    cdef bint _send_large(self, uint8_t opcode, const uint8_t *data, size_t size) except -1:
        """Frames, masks and sends it piece by piece, past the outbox; False if that cannot be.

        What cannot be sent at once is left to the write thread.
        """
        cdef wsf_header header
        cdef size_t at = 0, step, head
        cdef PyObject *piece = new_bytes(NULL, WSF_HEADER_MAX + PIECE)
        if piece == NULL:
            raise MemoryError
        if not self._take_role_for(&header, opcode, size):
            Py_XDECREF(piece)
            return False
        self.block = piece
        self.block_room = WSF_HEADER_MAX + PIECE
        head = encode_header(<uint8_t *>bytes_content(piece), &header)
        with nogil:
            while True:
                step = min(size - at, <size_t>PIECE)
                self.wire = <const uint8_t *>bytes_content(piece)
                put_payload(<uint8_t *>bytes_content(piece) + head, data + at, step, &header)
                self.left = head + step
                at += step
                head = 0
                if not self._write_some() or at == size:
                    break
        if self.left and not self.is_broken and not self._keep_rest(&header, data + at, size - at):
            self._break()  # part of a frame has left, and there is no memory for the rest
        self._go(self._end_write(self.left == 0))
        return True

    cdef bint _take_role_for(self, wsf_header *header, uint8_t opcode, size_t size) except -1:
        """Takes the role to write one message, if that may be done at once."""
        cdef Outbox outbox = self.outbox
        cdef bint may, has_key
        while True:
            outbox.lock()
            may = (
                outbox.is_open and self.started and not self.is_broken and not self.writing
                and outbox.size == 0 and not self._is_burst()
            )
            has_key = not outbox.masked or outbox._has_key()
            if may and has_key:
                header.opcode = opcode
                header.fin = 1
                header.rsv = 0
                header.masked = outbox.masked
                header.length = size
                header.mask_key = outbox._key() if outbox.masked else 0
                self.heard_since = False
                self.writing = True
                outbox.message_count += 1
                self.taken_count = outbox.message_count
                self.in_flight = size
            outbox.unlock()
            if not may or has_key:
                return may
            outbox.draw_keys()

    cdef bint _keep_rest(self, wsf_header *header, const uint8_t *data, size_t size) noexcept:
        """Puts what has not been sent of a message on the wire whole; False if out of memory."""
        cdef PyObject *rest = new_bytes(NULL, self.left + size)
        if rest == NULL:
            PyErr_Clear()
            return False
        cdef uint8_t *to = <uint8_t *>bytes_content(rest)
        memcpy(to, self.wire, self.left)
        put_payload(to + self.left, data, size, header)
        Py_XDECREF(self.block)
        self.outbox.trim()  # what the write thread gives back takes the place of a spare block
        self.block, self.block_room = rest, self.left + size
        self.wire = to
        self.left += size
        return True

    cdef bint _write_some(self) noexcept nogil:
        """Whether all that is on the wire could be sent at once."""
        cdef ptrdiff_t sent
        while self.left:
            sent = wsfast_send(self.fd, self.wire, self.left)
            if sent <= 0:
                if sent < 0:
                    self._break()
                return False
            self.wire += sent
            self.left -= sent
        return True

    cdef Next _write_inline(self) except? NOTHING:
        return self._end_write(self._write())

    cdef Next _end_write(self, bint all_sent) noexcept:
        cdef Next then
        self.outbox.lock()
        self.sent_at = wsfast_now()
        if all_sent:
            self.sent_count = self.taken_count
        if all_sent or self.is_broken:
            self._let_wire_go()
        self.in_flight = self.left
        if self.is_broken or (all_sent and self.outbox.size == 0):
            then = self._give_back()
        else:
            then = self._hand_over()
        self.outbox.unlock()
        return then

    cdef bint _write(self) except -1:
        """Writes what can be written at once; whether that was all."""
        if self.is_broken:
            return False  # part of a frame is missing: nothing may follow
        if self.stream is not None:
            self._encode()
        cdef bint all_sent
        if self.left <= HOLD:
            all_sent = self._write_some()
        else:
            with nogil:
                all_sent = self._write_some()
        return all_sent and not self.is_broken

    cdef int _encode(self) except -1:
        """Puts what the stream makes of the block in its place."""
        cdef bytes encoded
        view = PyMemoryView_FromMemory(NULL if self.block == NULL else bytes_content(self.block),
                                       self.block_size, PyBUF_READ)
        try:
            encoded = self.stream.encode(view)
        except (OSError, ValueError, MemoryError):
            # Reading goes on: what the peer sent before it went away is still to be delivered.
            self._break()
            self.left = 0  # never in the clear
            return 0
        except BaseException:  # Ctrl-C: what of it was encoded is not known
            self.interrupted()
            raise
        finally:
            view.release()
        self.outbox.lock()
        self._let_wire_go()
        self.outbox.unlock()
        self.encoded = encoded
        self.wire = <const uint8_t *>PyBytes_AS_STRING(encoded)
        self.left = PyBytes_GET_SIZE(encoded)
        return 0

    cdef void _break(self) noexcept nogil:
        self.outbox.lock()
        self.is_broken = True
        self.outbox.unlock()

    cdef void _let_wire_go(self) noexcept:
        """With the mutex held."""
        cdef PyObject *block = self.block
        self.block = NULL
        self.encoded = None
        self.left = 0
        if block != NULL and self.thread_runs and self.outbox.spare == NULL:
            self.outbox.give_back(block, self.block_room)  # until the thread has been idle
        else:
            Py_XDECREF(block)

    # -------------------------------------------------------------- with the mutex held

    cdef bint _fits(self, size_t size) noexcept nogil:
        cdef size_t pending = self.outbox.size + self.in_flight
        return pending == 0 or (
            pending + size <= self.max_bytes and self.outbox.frame_count < self.max_frames
        )

    cdef Next _after_adding(self) noexcept nogil:
        if not self.started:
            return NOTHING  # there is nothing to write to, or nothing any more
        if self.writing:
            if (
                self.outbox.size < BATCH or self.left
                or not self.thread_has_role or self.thread_writes
            ):
                return NOTHING  # whoever writes takes this along
            self.thread_has_role = False  # the thread has not come to it yet, and it is enough
            self._take()
            return WRITE
        if self._is_burst():
            return self._hand_over()
        self.heard_since = False
        self._take()
        return WRITE

    cdef bint _is_burst(self) noexcept nogil:
        return not self.heard_since and wsfast_now() - self.sent_at < self.gap

    cdef Next _hand_over(self) noexcept nogil:
        """The role goes to the write thread."""
        self.writing = self.thread_has_role = True
        if self.thread_runs:
            return WAKE
        self.thread_runs = True
        return START

    cdef void _take(self) noexcept nogil:
        """Takes the role, or keeps it, and what has gathered. There is nothing on the wire."""
        self.writing = True
        self.block_size = 0
        self.block = self.outbox.take_block(&self.block_size, &self.block_room)
        self.taken_count = self.outbox.message_count
        self.left = self.in_flight = self.block_size
        if self.block != NULL:
            self.wire = <const uint8_t *>bytes_content(self.block)

    cdef Next _give_back(self) noexcept nogil:
        self.in_flight = 0
        self.writing = self.thread_has_role = self.thread_writes = False
        if not self.room_wanted and self.outbox.is_open:
            return NOTHING
        self.room_wanted = False
        return FREED

    # -------------------------------------------------------------- the write thread

    def write_loop(self):
        cdef Next then
        while self._wait_for_role():
            while True:
                with nogil:
                    then = self._write_until_asked()
                if then == ENCODE:
                    self._encode()
                elif then == LET_GO:
                    self.encoded = None
                elif then == ROOM:
                    self.room_made()
                else:
                    break
            self._go(then)

    def thread_failed(self):
        """The write thread could not be started."""
        self.outbox.lock()
        self.thread_runs = False
        self.is_broken = True
        cdef bint had_role = self.thread_has_role  # or somebody has taken it over meanwhile
        self.outbox.unlock()
        if had_role:
            self.fail()

    cdef bint _wait_for_role(self) except -1:
        """False, and the thread ends, when it has not come for a while or never will."""
        cdef bint has_role, over
        cdef bint woken = True
        while True:
            self.outbox.lock()
            has_role = self.thread_writes = self.thread_has_role
            over = self.is_over or not woken
            if over and not has_role:
                self.thread_runs = False
            self.outbox.unlock()
            if has_role:
                return True
            if over:
                self.outbox.trim()
                return False
            with nogil:
                woken = PyThread_acquire_lock_timed(self.work, self.idle, 0) != 0

    cdef Next _write_until_asked(self) noexcept nogil:
        """Writes until there is nothing left, or Python has to do something."""
        cdef ptrdiff_t sent
        cdef Next then
        while True:
            while self.left:
                sent = wsfast_send(self.fd, self.wire, self.left)
                if sent == 0:
                    wsfast_poll(self.fd, 1, -1)
                    continue
                if sent < 0:
                    break
                self.wire += sent
                self.left -= sent
                if self.left and self._note_progress() == ROOM:
                    return ROOM
            if self.left:
                self._break()
                self.left = 0
            if self.encoded is not None:
                return LET_GO
            self.outbox.lock()
            self._note_sent()
            if self.outbox.size == 0 and not self.is_broken and not self._yield_role():
                self.outbox.unlock()
                return NOTHING
            if self.left == 0:
                if self.outbox.size == 0 or self.is_broken:
                    then = self._give_back()
                    self.outbox.unlock()
                    return then
                self._take()
                if self.stream is not None:
                    self.outbox.unlock()
                    return ENCODE
            self.outbox.unlock()

    cdef void _note_sent(self) noexcept nogil:
        """With the mutex held: nothing is on the wire any more."""
        self.sent_at = wsfast_now()
        if not self.is_broken:
            self.sent_count = self.taken_count
        if self.block != NULL:
            self.outbox.give_back(self.block, self.block_room)
            self.block = NULL

    cdef bint _yield_role(self) noexcept nogil:
        """With the mutex held, which is given up for a while: lets who sends a burst on this core
        get on with it, rather than be interrupted after each message. Whether the role is still,
        or again, that of the write thread."""
        self.thread_writes = False
        self.outbox.unlock()
        wsfast_yield()
        self.outbox.lock()
        self.thread_writes = self.thread_has_role
        return self.thread_writes

    cdef Next _note_progress(self) noexcept nogil:
        self.outbox.lock()
        self.in_flight = self.left
        cdef Next then = self._room()
        self.outbox.unlock()
        return then

    cdef Next _room(self) noexcept nogil:
        """With the mutex held. Not at once: each time that who waits is woken has its price."""
        if self.room_wanted and 2 * (self.in_flight + self.outbox.size) <= self.max_bytes \
                and 2 * self.outbox.frame_count <= self.max_frames:
            self.room_wanted = False
            return ROOM
        return NOTHING

    # -------------------------------------------------------------- what a Writer does

    def send_slowly(self, data, size):
        raise NotImplementedError

    def start_thread(self):
        raise NotImplementedError

    def freed(self):
        raise NotImplementedError

    def room_made(self):
        raise NotImplementedError

    def interrupted(self):
        raise NotImplementedError
