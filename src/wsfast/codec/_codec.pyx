# cython: language_level=3, binding=True, embedsignature=False
# cython: freethreading_compatible=True, autotestdict=False, auto_pickle=False
"""Frames to messages and back. The documentation of each name is in _codec.pyi beside this file.

Memory: a message that does not lie whole in one chunk is gathered in a `bytes` object that the C
parser grows through `resize_block`; a binary message is then handed out as that very object.

Threads: one Decoder, one Outbox, one thread at a time. Critical sections keep a program that breaks
this rule on a free-threaded Python from crashing; they do not make the result useful.
"""

import os

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_Clear
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .csrc cimport *

cdef extern from *:
    """
    #include <stddef.h>
    /* A block of the C parser is the content of a bytes object; this finds the object again. */
    #define BLOCK_OBJECT(block) ((PyObject *)((char *)(block) - offsetof(PyBytesObject, ob_sval)))
    """
    PyObject *BLOCK_OBJECT(void *block) nogil
    # The library's own declarations lose a reference or a NULL where the object moves.
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size)
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size)
    char *PyBytes_AS_STRING_ "PyBytes_AS_STRING"(PyObject *bytes) nogil
    Py_ssize_t PyBytes_GET_SIZE_ "PyBytes_GET_SIZE"(PyObject *bytes) nogil
    Py_ssize_t Py_REFCNT(PyObject *o) nogil
    void Py_XDECREF(PyObject *o)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef int get_bytes(data, Py_buffer *source) except -1:
    """The bytes of any buffer. Those that do not lie in one piece are copied, in their order."""
    try:
        PyObject_GetBuffer(data, source, PyBUF_SIMPLE)
    except (BufferError, ValueError):  # numpy raises the latter
        PyObject_GetBuffer(memoryview(data).tobytes(), source, PyBUF_SIMPLE)
    return 0


# ------------------------------------------------------------------ masking

def apply_mask(data, key):
    cdef uint32_t mask_key = read_key(key)
    cdef Py_buffer source
    get_bytes(data, &source)
    try:
        masked = PyBytes_FromStringAndSize(NULL, source.len)
        wsf_mask(<uint8_t *>PyBytes_AS_STRING(masked), <uint8_t *>source.buf, source.len, mask_key)
    finally:
        PyBuffer_Release(&source)
    return masked


def apply_mask_in_place(data, key):
    cdef uint32_t mask_key = read_key(key)
    cdef Py_buffer target
    PyObject_GetBuffer(data, &target, PyBUF_WRITABLE)
    try:
        mask_key = wsf_mask(<uint8_t *>target.buf, <uint8_t *>target.buf, target.len, mask_key)
    finally:
        PyBuffer_Release(&target)
    return (<char *>&mask_key)[:4]


cdef uint32_t read_key(key) except? 0:
    cdef uint32_t mask_key
    cdef Py_buffer view
    get_bytes(key, &view)
    try:
        if view.len != 4:
            raise ValueError(f"key: a masking key has 4 bytes, not {view.len}")
        memcpy(&mask_key, view.buf, 4)
    finally:
        PyBuffer_Release(&view)
    return mask_key


def implementation():
    return wsf_mask_implementation().decode()


def implementations():
    names = []
    cdef const char *name = wsf_mask_available(0)
    while name != NULL:
        names.append(name.decode())
        name = wsf_mask_available(len(names))
    return names


def _select_implementation():
    """Chooses the masking code once, at import: the best one, or what the environment asks for."""
    forced = os.environ.get("WSFAST_IMPLEMENTATION")
    if not forced:
        wsf_mask_select(NULL)
    elif wsf_mask_select(os.fsencode(forced)) != 0:
        raise ImportError(
            f"WSFAST_IMPLEMENTATION={forced}: this processor runs {', '.join(implementations())}"
        )


_select_implementation()

# How often this process has come out of a fork(): keys drawn before must not be used after it.
cdef unsigned int forks = 0


def _forked():
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


# ------------------------------------------------------------------ what a decoder returns

cdef class _Control:
    cdef readonly bytes data
    __match_args__ = ("data",)

    def __cinit__(self, data=b""):
        # Not bytes(data), which makes zeros of a number.
        self.data = data if type(data) is bytes else memoryview(data).tobytes()

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self.data == (<_Control>other).data

    def __hash__(self):
        return hash((type(self), self.data))

    def __repr__(self):
        return f"{type(self).__name__}({self.data!r})"

    def __reduce__(self):
        return type(self), (self.data,)


@cython.final
cdef class Ping(_Control):
    pass


@cython.final
cdef class Pong(_Control):
    pass


@cython.final
cdef class Compressed:
    cdef readonly bytes data
    cdef readonly bint text, more
    __match_args__ = ("data", "text", "more")

    def __cinit__(self, bytes data not None, bint text=False, bint more=False):
        self.data = data
        self.text = text
        self.more = more

    cdef tuple _fields(self):
        return self.data, self.text, self.more

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self._fields() == (<Compressed>other)._fields()

    def __hash__(self):
        return hash(self._fields())

    def __repr__(self):
        return f"Compressed({self.data!r}, text={self.text}, more={self.more})"

    def __reduce__(self):
        return type(self), self._fields()


cdef class _Ending:
    cdef readonly int code
    cdef readonly str reason
    __match_args__ = ("code", "reason")

    def __cinit__(self, code, str reason not None=""):
        self.code = PyNumber_Index(code)  # not code alone, which drops the fraction of a float
        self.reason = reason

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self.code == (<_Ending>other).code and self.reason == (<_Ending>other).reason

    def __hash__(self):
        return hash((type(self), self.code, self.reason))

    def __repr__(self):
        return f"{type(self).__name__}({self.code}, {self.reason!r})"

    def __reduce__(self):
        return type(self), (self.code, self.reason)


@cython.final
cdef class Close(_Ending):
    pass


@cython.final
cdef class Failure(_Ending):
    pass


# ------------------------------------------------------------------ decoder

cdef void *resize_block(void *block, size_t size) noexcept:
    """The parser's allocation hook: a block is the content of a bytes object of that size."""
    cdef PyObject *old = BLOCK_OBJECT(block) if block != NULL else NULL
    cdef PyObject *new
    if size == 0:
        Py_XDECREF(old)
        return NULL
    if old == NULL or Py_REFCNT(old) > 1:
        # Somebody still holds a view of the old block: it stays as it is, and theirs.
        new = new_bytes(NULL, <Py_ssize_t>size)
        if new != NULL and old != NULL:
            memcpy(PyBytes_AS_STRING_(new), block, min(size, <size_t>PyBytes_GET_SIZE_(old)))
        Py_XDECREF(old)
    else:
        new = old
        _PyBytes_Resize(&new, <Py_ssize_t>size)  # frees the old one and sets NULL if it fails
    if new == NULL:
        PyErr_Clear()  # the parser reports WSF_ERR_NO_MEMORY
        return NULL
    return PyBytes_AS_STRING_(new)


@cython.final
cdef class _Window:
    """Lends a part of the message being received to a transport, through a memoryview.

    `owner` keeps the memory alive for as long as anyone looks at it, so a view held for too long
    sees old bytes but never freed ones.
    """
    cdef object owner
    cdef uint8_t *data
    cdef Py_ssize_t size
    cdef int exports

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.owner is None:
            raise BufferError("this part of a message has been received")
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self.exports -= 1


@cython.final
cdef class Decoder:
    cdef wsf_parser parser
    cdef Py_ssize_t chunk_size
    cdef object chunk          # bytearray
    cdef object chunk_view     # memoryview of it that is never lent, so nobody can release it
    cdef Py_ssize_t room       # bytes that may be received: what get_buffer() offered
    cdef _Window window
    cdef object window_view    # the memoryview handed out last, if it was of a window
    cdef readonly bint control

    def __cinit__(self, *, bint server=False, max_message=16 * 1024 * 1024, max_fragments=131072,
                  buffer_size=65536, bint compression=False):
        cdef wsf_config config
        if buffer_size < 1:
            raise ValueError(f"buffer_size: {buffer_size} is not positive")
        config.server = server
        config.allow_rsv1 = compression
        config.defer_utf8 = 1  # PyUnicode_DecodeUTF8 is as strict as our own check
        config.max_message = PyNumber_Index(max_message)
        config.max_fragments = PyNumber_Index(max_fragments)
        config.resize = resize_block
        self.chunk_size = buffer_size
        wsf_parser_init(&self.parser, &config)

    def __dealloc__(self):
        if self.chunk_size:
            wsf_parser_clear(&self.parser)

    @cython.critical_section
    def get_buffer(self):
        cdef uint8_t *data
        self._release_window()
        cdef Py_ssize_t size = self._offer(&data)
        if size == 0:
            self._need_chunk()
            self.room = self.chunk_size
            return PyMemoryView_FromObject(self.chunk_view)
        cdef _Window window = _Window()
        window.owner = <object>BLOCK_OBJECT(self.parser.message)
        window.data = data
        window.size = size
        self.window_view = PyMemoryView_FromObject(window)
        self.window = window
        self.room = size
        return self.window_view

    @cython.critical_section
    def received(self, Py_ssize_t size, /):
        cdef list events = []
        if size < 0 or size > self.room:
            raise ValueError(f"size: {size} bytes were not received into get_buffer()")
        self.room = 0
        self.control = False
        if self.window is not None:
            self._release_window()
            wsf_parser_filled(&self.parser, size)
        elif size:
            wsf_parser_feed(&self.parser, <uint8_t *>PyByteArray_AS_STRING(self.chunk), size)
        return self._events(events)

    @cython.critical_section
    def feed(self, data, /):
        cdef Py_buffer source
        cdef Py_ssize_t at = 0, piece
        cdef uint8_t *target
        cdef list events = []
        self._release_window()
        self._need_chunk()
        get_bytes(data, &source)
        self.control = False
        try:
            while at < source.len:
                piece = self._offer(&target)
                if piece == 0:
                    target = <uint8_t *>PyByteArray_AS_STRING(self.chunk)
                    piece = min(self.chunk_size, source.len - at)
                    memcpy(target, <uint8_t *>source.buf + at, piece)
                    wsf_parser_feed(&self.parser, target, piece)
                else:
                    piece = min(piece, source.len - at)
                    memcpy(target, <uint8_t *>source.buf + at, piece)
                    wsf_parser_filled(&self.parser, piece)
                at += piece
                self._events(events)
                if self.parser.error:
                    break
        finally:
            PyBuffer_Release(&source)
        if source.len == 0:
            self._events(events)
        return events

    @cython.critical_section
    def close(self):
        wsf_parser_close(&self.parser)

    cdef Py_ssize_t _offer(self, uint8_t **data) noexcept:
        # A window is worth its extra system call from about a chunk's worth of copying on.
        cdef Py_ssize_t size = <Py_ssize_t>wsf_parser_window(&self.parser, data, self.chunk_size)
        return size if size > 0 else 0  # a failed allocation is reported by the next call

    cdef int _need_chunk(self) except -1:
        if self.chunk is None:
            # Not all at once: out of memory, CPython frees one that it has not filled in.
            chunk = bytearray()
            PyByteArray_Resize(chunk, self.chunk_size)
            self.chunk_view = memoryview(chunk)
            self.chunk = chunk
        return 0

    cdef int _release_window(self) except -1:
        self.room = 0
        if self.window is None:
            return 0
        try:
            self.window_view.release()
        except BufferError:
            pass  # still exported somewhere: `owner` keeps it alive, resize_block will copy
        if self.window.exports == 0:
            self.window.owner = None
        self.window = None
        self.window_view = None
        return 0

    cdef list _events(self, list events):
        cdef wsf_event event
        cdef int got
        cdef object item
        try:
            while True:
                got = wsf_parser_next(&self.parser, &event)
                if got <= 0:
                    break
                item = self._item(&event)
                if item is not None:
                    events.append(item)
        except MemoryError:
            # An event is lost, and the rest of the input with it: nothing may come after the gap.
            wsf_parser_fail(&self.parser, WSF_ERR_NO_MEMORY)
            raise
        if got == WSF_ERR_NO_MEMORY:
            raise MemoryError("no memory for the message being received")
        if got < 0:
            self.control = True
            events.append(Failure(wsf_error_close_code(got), wsf_error_text(got).decode()))
        return events

    cdef object _item(self, wsf_event *event):
        if event.compressed:
            self.control = True
            data = PyBytes_FromStringAndSize(<const char *>event.data, event.size)
            return Compressed(data, event.opcode == WSF_TEXT, event.more)
        if event.opcode == WSF_TEXT:
            try:
                return PyUnicode_DecodeUTF8(<const char *>event.data, event.size, NULL)
            except UnicodeDecodeError:
                wsf_parser_fail(&self.parser, WSF_ERR_TEXT_UTF8)
                return None
        if event.opcode == WSF_BINARY:
            if event.owned:
                return self._take_block(event.size)
            return PyBytes_FromStringAndSize(<const char *>event.data, event.size)
        self.control = True
        data = PyBytes_FromStringAndSize(<const char *>event.data, event.size)
        if event.opcode == WSF_PING:
            return Ping(data)
        if event.opcode == WSF_PONG:
            return Pong(data)
        return Close(event.code, data.decode())

    cdef object _take_block(self, size_t size):
        cdef void *block = self.parser.message
        if self.parser.message_room != size or Py_REFCNT(BLOCK_OBJECT(block)) > 1:
            wsf_parser_take(&self.parser)
            block = resize_block(block, size)
            if block == NULL:
                raise MemoryError("no memory for the message being received")
        else:
            wsf_parser_take(&self.parser)
        message = <object>BLOCK_OBJECT(block)
        Py_XDECREF(BLOCK_OBJECT(block))  # the block's reference; `message` is ours
        return message


# ------------------------------------------------------------------ outbox

cdef enum:
    KEYS = 64             # masking keys drawn from the system at once
    FIRST_GROWTH = 4096   # bytes that a second frame makes room for


@cython.final
cdef class Outbox:
    cdef PyObject *buffer      # bytes object being filled, or NULL
    cdef size_t size, room
    cdef readonly Py_ssize_t frames
    cdef bint masked
    cdef unsigned int keys_drawn_after, next_key
    cdef uint32_t keys[KEYS]

    def __cinit__(self, *, bint server=False):
        self.masked = not server
        self.next_key = KEYS

    def __dealloc__(self):
        Py_XDECREF(self.buffer)

    @property
    def pending(self):
        return self.size

    def message(self, data):
        if isinstance(data, str):
            self._text(data)
        else:
            self._buffer(WSF_BINARY, True, False, data)

    def text(self, data):
        if not isinstance(data, str):
            raise TypeError(f"data: a str is needed, not {type(data).__name__}")
        self._text(data)

    def binary(self, data):
        self._buffer(WSF_BINARY, True, False, data)

    def ping(self, data=b""):
        self._control(WSF_PING, data)

    def pong(self, data=b""):
        self._control(WSF_PONG, data)

    def close(self, code=None, data=b""):
        reason = memoryview(data).tobytes()
        if code is not None:
            self._control(WSF_CLOSE, PyNumber_Index(code).to_bytes(2, "big") + reason)
        elif reason:
            raise ValueError("a close reason needs a code")
        else:
            self._control(WSF_CLOSE, b"")

    def frame(self, opcode, data, *, bint fin=True, bint rsv1=False):
        number = PyNumber_Index(opcode)
        if number < 0 or number > 15:
            raise ValueError(f"opcode: {opcode} does not fit into four bits")
        self._buffer(number, fin, rsv1, data)

    @cython.critical_section
    def take(self):
        cdef PyObject *taken = self.buffer
        if taken == NULL:
            return b""
        self.buffer = NULL
        if self.size != self.room:
            _PyBytes_Resize(&taken, self.size)
        self.size = self.room = 0
        self.frames = 0
        if taken == NULL:
            raise MemoryError
        message = <object>taken
        Py_XDECREF(taken)
        return message

    cdef int _text(self, data) except -1:
        cdef Py_ssize_t size
        cdef const char *encoded = PyUnicode_AsUTF8AndSize(data, &size)
        return self._append(WSF_TEXT, True, False, <const uint8_t *>encoded, size)

    cdef int _control(self, uint8_t opcode, data) except -1:
        cdef Py_buffer source
        get_bytes(data, &source)
        try:
            if source.len > WSF_CONTROL_MAX:
                raise ValueError(f"{source.len} bytes in a control frame; at most 125 fit")
            return self._append(opcode, True, False, <const uint8_t *>source.buf, source.len)
        finally:
            PyBuffer_Release(&source)

    cdef int _buffer(self, uint8_t opcode, bint fin, bint rsv1, data) except -1:
        cdef Py_buffer source
        get_bytes(data, &source)
        try:
            return self._append(opcode, fin, rsv1, <const uint8_t *>source.buf, source.len)
        finally:
            PyBuffer_Release(&source)

    @cython.critical_section
    cdef int _append(self, uint8_t opcode, bint fin, bint rsv1, const uint8_t *data,
                     size_t size) except -1:
        """Frames, masks and copies in one pass. Nothing is changed if it raises."""
        cdef wsf_header header
        cdef uint8_t head[WSF_HEADER_MAX]
        cdef uint8_t *to
        header.opcode = opcode
        header.fin = fin
        header.rsv = 4 if rsv1 else 0
        header.masked = self.masked
        header.length = size
        header.mask_key = self._draw_key() if self.masked else 0
        cdef size_t head_size = wsf_header_encode(head, &header)
        self._reserve(head_size + size)
        to = <uint8_t *>PyBytes_AS_STRING_(self.buffer) + self.size
        memcpy(to, head, head_size)
        if self.masked:
            wsf_mask(to + head_size, data, size, header.mask_key)
        elif size:
            memcpy(to + head_size, data, size)
        self.size += head_size + size
        self.frames += 1
        return 0

    cdef int _reserve(self, size_t more) except -1:
        cdef size_t need = self.size + more, room
        cdef PyObject *grown
        if need <= self.room:
            return 0
        if self.buffer == NULL:  # a frame sent at once needs no more room than it has
            grown = new_bytes(NULL, need)
            if grown == NULL:
                raise MemoryError
            self.buffer = grown
            self.room = need
            return 0
        room = max(need, 2 * self.room, <size_t>FIRST_GROWTH)
        grown = new_bytes(NULL, room)
        if grown == NULL:
            raise MemoryError  # what was pending stays
        memcpy(PyBytes_AS_STRING_(grown), PyBytes_AS_STRING_(self.buffer), self.size)
        Py_XDECREF(self.buffer)
        self.buffer = grown
        self.room = room
        return 0

    cdef uint32_t _draw_key(self) except? 0:
        cdef uint32_t key
        if self.next_key == KEYS or self.keys_drawn_after != forks:
            fresh = os.urandom(sizeof(self.keys))  # other threads may run here
            memcpy(self.keys, PyBytes_AS_STRING(fresh), sizeof(self.keys))
            self.keys_drawn_after = forks
            self.next_key = 0
        key = self.keys[self.next_key]
        self.keys[self.next_key] = 0  # a key that went over the wire is not kept
        self.next_key += 1
        return key
