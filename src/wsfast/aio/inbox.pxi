@cython.final
cdef class _Inbox:
    """Messages that have arrived and wait to be taken.

    They are kept in the lists they come in, one for each chunk that was received, so that what
    arrives in a flood costs little each. The bytes of a list count until its last message is taken.
    The bounds are looked at before more is received: what arrives in one chunk may exceed them.
    """
    cdef list first            # those to be taken next, in reverse
    cdef size_t first_size
    cdef object others         # a deque of (list, size); None unless there is a second list
    cdef Py_ssize_t count
    cdef size_t size
    cdef Py_ssize_t max_count
    cdef size_t max_size
    cdef bint drops            # at the bounds the oldest make room

    cdef bint full(self) noexcept:
        """Whether nothing more should be received for now."""
        return not self.drops and (self.count >= self.max_count or self.size >= self.max_size)

    cdef int put(self, list messages, size_t size) except -1:
        """Adds messages, whose list is the inbox's from now on. The latest stays, however large."""
        if not self.drops:
            if messages:
                self.add(messages, size)
            return 0
        for message in messages:
            self.add([message], total_size([message]))
        while self.count > 1 and (self.count > self.max_count or self.size > self.max_size):
            self.pop()
        return 0

    cdef int add(self, list messages, size_t size) except -1:
        cdef Py_ssize_t count = len(messages)
        if self.count == 0:
            if count > 1:
                messages.reverse()
            self.first = messages
            self.first_size = size
        else:
            if self.others is None:
                self.others = deque()
            self.others.append((messages, size))
        self.count += count
        self.size += size
        return 0

    cdef object pop(self):
        """Takes the oldest message; there must be one."""
        if not self.first:
            self.first, self.first_size = self.others.popleft()
            self.first.reverse()
            if not self.others:
                self.others = None
        cdef object message = self.first.pop()
        self.count -= 1
        if not self.first:
            self.size -= self.first_size
            self.first = None  # an empty list of one chunk may be large
        return message
