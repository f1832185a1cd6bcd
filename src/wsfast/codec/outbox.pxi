cdef enum:
    FIRST_GROWTH = 4096   # bytes that a second frame makes room for


cdef size_t encode_header(uint8_t *to, const wsf_header *header) noexcept nogil:
    return wsf_header_encode(to, header)


cdef void put_payload(uint8_t *to, const uint8_t *data, size_t size,
                      wsf_header *header) noexcept nogil:
    """The next bytes of a payload, masked if they are to be."""
    if header.masked:
        header.mask_key = wsf_mask(to, data, size, header.mask_key)
    elif size:
        memcpy(to, data, size)


@cython.final
cdef class Outbox:
    def __cinit__(self, *, bint server=False):
        self.mutex = PyThread_allocate_lock()
        if self.mutex == NULL:
            raise MemoryError
        self.masked = not server
        self.next_key = KEYS

    def __dealloc__(self):
        Py_XDECREF(self.buffer)
        Py_XDECREF(self.spare)
        if self.mutex != NULL:
            PyThread_free_lock(self.mutex)

    def after_fork(self):
        """In the child. Another thread may have held the mutex, which is left as it is."""
        self.mutex = PyThread_allocate_lock()

    @property
    def open(self):
        return self.is_open

    @open.setter
    def open(self, bint value):
        self.lock()
        self.is_open = value
        self.unlock()

    @property
    def pending(self):
        self.lock()
        size = self.size + self.pong_size if self.pong_waits else self.size
        self.unlock()
        return size

    @property
    def frames(self):
        return self.frame_count

    # -------------------------------------------------------------- adding

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

    def answer(self, bytes data not None, size_t backlog):
        if len(data) > WSF_CONTROL_MAX:
            raise ValueError(f"{len(data)} bytes in a control frame; at most 125 fit")
        if not self._put_aside(data, backlog):
            self.pong(data)

    cdef bint _put_aside(self, bytes data, size_t backlog) except -1:
        """Keeps a pong for the end of what is pending, in place of one that waits there, if that
        is `backlog` bytes or more."""
        cdef Added added = ADDED
        while True:
            if added == NO_KEYS:
                self.draw_keys()
            elif added == NO_MEMORY:
                raise MemoryError
            self.lock()
            try:
                if self.size < backlog:
                    return False
                if self.masked and not self._has_key():
                    added = NO_KEYS
                    continue
                # Room for it is kept from now on, as nobody who takes can make any.
                added = self._reserve(WSF_HEADER_MAX + WSF_CONTROL_MAX)
                if added == ADDED:
                    self.pong_key = self._key() if self.masked else 0
                    self.pong_size = len(data)
                    memcpy(self.pong_data, PyBytes_AS_STRING(data), self.pong_size)
                    self.pong_waits = True
                    return True
            finally:
                self.unlock()

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

    def raw(self, bytes data not None):
        cdef Added added
        self.lock()
        added = self._reserve(len(data))
        if added == ADDED:
            memcpy(PyBytes_AS_STRING_(self.buffer) + self.size, PyBytes_AS_STRING(data), len(data))
            self.size += len(data)
        self.unlock()
        if added != ADDED:
            raise MemoryError

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

    cdef int _append(self, uint8_t opcode, bint fin, bint rsv1, const uint8_t *data,
                     size_t size) except -1:
        """Nothing is changed if it raises."""
        cdef Added added = NO_KEYS
        while True:
            self.lock()
            added = self.add(opcode, fin, rsv1, data, size)
            self.unlock()
            if added == ADDED:
                return 0
            if added == NO_MEMORY:
                raise MemoryError
            self.draw_keys()

    # -------------------------------------------------------------- taking

    def take(self):
        cdef size_t size = 0, room = 0
        self.lock()
        cdef PyObject *taken = self.take_block(&size, &room)
        self.unlock()
        if taken == NULL:
            return b""
        if size != room:
            _PyBytes_Resize(&taken, size)
        if taken == NULL:
            raise MemoryError
        message = <object>taken
        Py_XDECREF(taken)
        return message

    # -------------------------------------------------------------- the mutex

    cdef void lock(self) noexcept nogil:
        PyThread_acquire_lock(self.mutex, WAIT_LOCK)

    cdef void unlock(self) noexcept nogil:
        PyThread_release_lock(self.mutex)

    # -------------------------------------------------------------- with the mutex held

    cdef Added add(self, uint8_t opcode, bint fin, bint rsv1, const uint8_t *data,
                   size_t size) noexcept:
        """Frames, masks and copies in one pass. Nothing is changed unless it returns ADDED."""
        if self.masked and not self._has_key():
            return NO_KEYS
        cdef Added reserved = self._reserve(self._head_size(size) + size)
        if reserved != ADDED:
            return reserved
        self._put(opcode, fin, rsv1, self._key() if self.masked else 0, data, size)
        if opcode == WSF_CLOSE:
            self.is_open = self.pong_waits = False
        elif opcode < WSF_CLOSE and fin:
            self.message_count += 1
        return ADDED

    cdef Added add_framed(self, const uint8_t *data, size_t size) noexcept:
        """Adds a message that is framed already, as a server does."""
        cdef Added reserved = self._reserve(size)
        if reserved == ADDED:
            memcpy(PyBytes_AS_STRING_(self.buffer) + self.size, data, size)
            self.size += size
            self.frame_count += 1
            self.message_count += 1
        return reserved

    cdef PyObject *take_block(self, size_t *size, size_t *room) noexcept nogil:
        """All that is pending: a bytes object of `room` bytes, of which `size` are used; the
        caller's from now on. NULL if there is nothing."""
        cdef PyObject *taken = self.buffer
        if self.pong_waits:
            self._put(WSF_PONG, True, False, self.pong_key, self.pong_data, self.pong_size)
            self.pong_waits = False
        if self.size == 0:
            return NULL
        size[0], room[0] = self.size, self.room
        self.buffer, self.room = self.spare, self.spare_room
        self.spare, self.spare_room = NULL, 0
        self.size = 0
        self.frame_count = 0
        return taken

    cdef void give_back(self, PyObject *block, size_t room) noexcept nogil:
        """Takes back the block that was taken last, to be filled again."""
        self.spare, self.spare_room = block, room

    cdef size_t _head_size(self, size_t size) noexcept nogil:
        return 2 + (4 if self.masked else 0) + (0 if size < 126 else 2 if size < 65536 else 8)

    cdef bint _has_key(self) noexcept:
        return self.next_key < KEYS and self.keys_drawn_after == forks

    cdef uint32_t _key(self) noexcept:
        cdef uint32_t key = self.keys[self.next_key]
        self.keys[self.next_key] = 0  # a key that went over the wire is not kept
        self.next_key += 1
        return key

    cdef void _put(self, uint8_t opcode, bint fin, bint rsv1, uint32_t key, const uint8_t *data,
                   size_t size) noexcept nogil:
        """There is room for it."""
        cdef wsf_header header
        header.opcode = opcode
        header.fin = fin
        header.rsv = 4 if rsv1 else 0
        header.masked = self.masked
        header.length = size
        header.mask_key = key
        cdef uint8_t *to = <uint8_t *>PyBytes_AS_STRING_(self.buffer) + self.size
        cdef size_t head = encode_header(to, &header)
        put_payload(to + head, data, size, &header)
        self.size += head + size
        self.frame_count += 1

    cdef Added _reserve(self, size_t more) noexcept:
        cdef size_t need = self.size + more
        cdef PyObject *grown
        if self.pong_waits:
            need += WSF_HEADER_MAX + WSF_CONTROL_MAX
        if need <= self.room:
            return ADDED
        if self.size:  # a frame sent at once needs no more room than it has
            need = max(need, 2 * self.room, <size_t>FIRST_GROWTH)
        grown = new_bytes(NULL, need)
        if grown == NULL:
            PyErr_Clear()
            return NO_MEMORY  # what was pending stays
        if self.size:
            memcpy(PyBytes_AS_STRING_(grown), PyBytes_AS_STRING_(self.buffer), self.size)
        Py_XDECREF(self.buffer)
        self.buffer = grown
        self.room = need
        return ADDED

    # -------------------------------------------------------------- without the mutex

    cdef int draw_keys(self) except -1:
        """Other threads may run here, and draw as well: then some are drawn for nothing."""
        cdef bytes fresh = os.urandom(sizeof(self.keys))
        self.lock()
        memcpy(self.keys, PyBytes_AS_STRING(fresh), sizeof(self.keys))
        self.keys_drawn_after = forks
        self.next_key = 0
        self.unlock()
        return 0

    cdef void trim(self) noexcept:
        """Frees what was kept to be filled again."""
        cdef PyObject *empty = NULL
        self.lock()
        cdef PyObject *spare = self.spare
        self.spare, self.spare_room = NULL, 0
        if self.size == 0:
            empty = self.buffer
            self.buffer, self.room = NULL, 0
        self.unlock()
        Py_XDECREF(spare)
        Py_XDECREF(empty)
