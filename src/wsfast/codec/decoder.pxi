cdef enum:
    WINDOW = 16 * 1024     # bytes that a window has at least
    LARGE = 64 * 1024      # bytes of a message after which another of the kind is expected
    BATCH = 64             # short messages that are parsed at once

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

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.owner is None:
            raise BufferError("this part of a message has been received")
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self.exports -= 1


@cython.final
cdef class Decoder:
    def __cinit__(self, *, bint server=False, max_message=16 * 1024 * 1024, max_fragments=131072,
                  buffer_size=65536, bint compression=False, bint pieces=False):
        cdef wsf_config config
        if buffer_size < 1:
            raise ValueError(f"buffer_size: {buffer_size} is not positive")
        config.server = server
        config.allow_rsv1 = compression
        config.pieces = pieces
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
        cdef Py_ssize_t size
        cdef uint8_t *data = self.target(&size, NULL, 0)
        if not self.in_message:
            return self.chunk_view[:size]
        return self._lend(data, size)

    cdef object message_buffer(self):
        """As get_buffer() if that is the memory of the message being received; None otherwise:
        then `arrived_at` takes what is received elsewhere."""
        cdef uint8_t *data
        self._release_window()
        self.room = self._offer(&data)
        self.in_message = self.room > 0
        return self._lend(data, self.room) if self.in_message else None

    cdef object _lend(self, uint8_t *data, Py_ssize_t size):
        cdef _Window window = _Window()
        window.owner = <object>BLOCK_OBJECT(self.parser.message)
        window.data = data
        window.size = size
        self.window_view = PyMemoryView_FromObject(window)
        self.window = window
        return self.window_view

    @cython.critical_section
    def received(self, Py_ssize_t size, /):
        if size < 0 or size > self.room:
            raise ValueError(f"size: {size} bytes were not received into get_buffer()")
        return self.arrived(size)

    cdef uint8_t *target(self, Py_ssize_t *size, uint8_t *near, Py_ssize_t near_size) except NULL:
        """As get_buffer(). As long as little comes at a time, that is `near`, which need not live
        any longer than until arrived(), and the decoder has no buffer of its own."""
        cdef uint8_t *data
        self._release_window()
        size[0] = self._offer(&data)
        self.in_message = size[0] > 0
        if not self.in_message:
            if near_size and not self.much:
                self.chunk = self.chunk_view = None
                data = near
                size[0] = near_size
            else:
                self._need_chunk()
                data = <uint8_t *>PyByteArray_AS_STRING(self.chunk)
                size[0] = self.chunk_size
            # After a large message little more than the next one's header is received here, since
            # all of it that is has to be copied.
            if self.large:
                size[0] = min(size[0], <Py_ssize_t>AFTER_LARGE)
            self.source = data
        self.near_size = near_size
        self.room = 0 if near_size else size[0]  # who lends a buffer does not call received()
        return data

    cdef list arrived(self, Py_ssize_t size):
        """As received(), for a size that fits."""
        cdef list events = []
        self.room = 0
        self.control = False
        self.message_bytes = 0
        if self.in_message:
            self._release_window()
            wsf_parser_filled(&self.parser, size)
        elif size:
            self.much = size >= self.near_size
            wsf_parser_feed(&self.parser, self.source, size)
        return self._events(events)

    cdef list arrived_at(self, uint8_t *data, Py_ssize_t size):
        """As received(), for bytes in another's memory, which is changed."""
        cdef list events = []
        self.control = False
        self.message_bytes = 0
        wsf_parser_feed(&self.parser, data, size)
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
        self.message_bytes = 0
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
        # From some size on a window is worth the system call that it may cost.
        cdef Py_ssize_t size = <Py_ssize_t>wsf_parser_window(
            &self.parser, data, min(self.chunk_size, <Py_ssize_t>WINDOW)
        )
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
        self.in_message = False
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
                self._add_shorts(events)
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

    cdef int _add_shorts(self, list events) except -1:
        cdef wsf_short shorts[BATCH]
        cdef size_t count = BATCH, i
        while count == BATCH:
            count = wsf_parser_shorts(&self.parser, shorts, BATCH)
            for i in range(count):
                self.message_bytes += shorts[i].size
                if shorts[i].opcode == WSF_BINARY:
                    events.append(
                        PyBytes_FromStringAndSize(<const char *>shorts[i].data, shorts[i].size)
                    )
                    continue
                text = self._text(
                    shorts[i].data, shorts[i].size, wsf_is_ascii(shorts[i].data, shorts[i].size)
                )
                if text is None:
                    return 0
                events.append(text)
            if count:
                self.large = False
        return 0

    cdef object _text(self, const uint8_t *data, size_t size, bint ascii):
        """None, and the stream has failed, if it is no UTF-8."""
        if ascii:
            text = PyUnicode_New(size, 127)
            memcpy(PyUnicode_1BYTE_DATA(text), data, size)
            return text
        try:
            return PyUnicode_DecodeUTF8(<const char *>data, size, NULL)
        except UnicodeDecodeError:
            wsf_parser_fail(&self.parser, WSF_ERR_TEXT_UTF8)
            return None

    cdef object _item(self, wsf_event *event):
        if event.piece:
            self.control = True
            data = PyBytes_FromStringAndSize(<const char *>event.data, event.size)
            kind = Compressed if event.compressed else Piece
            return kind(data, event.opcode == WSF_TEXT, event.more)
        if event.opcode == WSF_TEXT:
            self.message_bytes += event.size
            self.large = event.owned and event.size >= LARGE
            return self._text(
                event.data, event.size,
                event.ascii or not event.checked and wsf_is_ascii(event.data, event.size),
            )
        if event.opcode == WSF_BINARY:
            self.message_bytes += event.size
            self.large = event.owned and event.size >= LARGE
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
