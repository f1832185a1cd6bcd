# cython: language_level=3, binding=True, embedsignature=False
# cython: freethreading_compatible=True, autotestdict=False, auto_pickle=False
"""From the socket to the application: the part of `reader.py` that each chunk and each message goes
through. The documentation is in _receiver.pyi.

All of it belongs to who has the reading role, but `stop`, `in_recv` and the times, which others look
at: one word each, written whole.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.list cimport PyList_GET_ITEM
from libc.stdint cimport uint8_t

import os

from wsfast.codec._codec cimport Decoder
from wsfast.system._cipher cimport NOTHING_YET, Cipher
from wsfast.threads._sender cimport Sender

cdef extern from "sockets.h" nogil:
    ctypedef int wsfast_socket
    int wsfast_poll(wsfast_socket fd, int write, int milliseconds)
    ptrdiff_t wsfast_recv(wsfast_socket fd, void *to, size_t size)
    int wsfast_interrupted(ptrdiff_t result)
    double wsfast_now()

cdef extern from *:
    """
    /* Moves the items, so that none of them is looked at, which would bring it into the cache. */
    static PyObject *move_items(PyObject *lists)
    {
        Py_ssize_t count = 0, i;
        for (i = 0; i < PyList_GET_SIZE(lists); i++)
            count += PyList_GET_SIZE(PyList_GET_ITEM(lists, i));
        PyObject *joined = PyList_New(count);
        if (joined == NULL)
            return NULL;
        PyObject **to = ((PyListObject *)joined)->ob_item;
        for (i = 0; i < PyList_GET_SIZE(lists); i++) {
            PyListObject *from = (PyListObject *)PyList_GET_ITEM(lists, i);
            Py_ssize_t size = PyList_GET_SIZE(from);
            if (size)
                memcpy(to, from->ob_item, (size_t)size * sizeof *to);
            to += size;
            Py_SET_SIZE(from, 0);
        }
        return joined;
    }
    """
    list move_items(list lists)

cdef enum:
    LONGEST_POLL = 1000 * 1000  # milliseconds
    NEAR = 16 * 1024


def join(list lists not None):
    for part in lists:
        if type(part) is not list:
            raise TypeError(f"lists: a list of lists is needed, not one of {type(part).__name__}")
    return move_items(lists)


@cython.final
cdef class Delivery:
    cdef object on_message, on_exception

    def __cinit__(self, on_message, on_exception):
        self.on_message = on_message
        self.on_exception = on_exception

    def __call__(self, messages):
        self.deliver(list(messages))

    cdef int deliver(self, list messages) except -1:
        cdef Py_ssize_t at = 0, count = len(messages)
        on_message = self.on_message
        while at < count:
            try:
                while at < count:
                    at += 1
                    on_message(<object>PyList_GET_ITEM(messages, at - 1))
            except BaseException as exc:
                self.on_exception(exc)
        return 0


@cython.final
cdef class Receiver:
    cdef Decoder decoder
    cdef Sender sender
    cdef wsfast_socket fd
    cdef Cipher cipher          # None unless what is received has to be decrypted
    cdef object stream          # None unless somebody else does the receiving
    cdef public bint stop
    cdef readonly bint in_recv
    cdef readonly double heard_at, message_at

    def __cinit__(self, Decoder decoder not None, Sender sender not None, fd, Cipher cipher=None,
                  stream=None):
        self.decoder = decoder
        self.sender = sender
        self.fd = fd
        self.cipher = cipher
        self.stream = stream

    @property
    def control(self):
        return self.decoder.control

    @property
    def message_bytes(self):
        return self.decoder.message_bytes

    def receive(self, deadline=None):
        return self._receive(deadline)

    def run(self, deliver):
        cdef list events
        cdef Delivery delivery = deliver if type(deliver) is Delivery else None
        while not self.stop:
            events = self._receive(None)
            if events is None or self.decoder.control:
                return events
            if not events:
                continue
            if delivery is not None:
                delivery.deliver(events)
            else:
                deliver(events)
        self.decoder.control = False
        return []

    cdef list _receive(self, deadline):
        """The events of the next chunk; None at the end of the stream."""
        # Lies on the stack of who reads: only what bytes have come into costs memory, and a quiet
        # connection has no buffer of its own.
        cdef uint8_t near[NEAR]
        cdef Py_ssize_t size
        cdef uint8_t *target
        if self.stream is None:
            target = self.decoder.target(&size, near, NEAR)
            if self.cipher is None:
                size = self._recv(target, size, deadline)
            else:
                size = self._recv_decrypted(target, size, deadline)
        else:
            buffer = self.decoder.get_buffer()
            self.in_recv = True
            try:
                size = self.stream.receive_into(buffer, deadline)
            finally:
                self.in_recv = False
        if size == 0:
            return None
        self.heard_at = wsfast_now()
        self.sender._heard()
        cdef list events = self.decoder.arrived(size)
        if events and not self.decoder.control:  # or the protocol looks for messages among them
            self.message_at = self.heard_at
        return events

    cdef Py_ssize_t _recv_decrypted(self, uint8_t *target, Py_ssize_t size, deadline) except -1:
        cdef Py_ssize_t room, got
        cdef uint8_t *chunk
        cdef bint again = False
        while True:
            got = self.cipher.decrypt_into(target, size)
            if got != NOTHING_YET:
                return got
            # Records that hold no data for us may come without end.
            if again and deadline is not None and wsfast_now() >= <double>deadline:
                raise TimeoutError("timeout")
            again = True
            chunk = self.cipher.room(&room)
            self.cipher.arrived(self._recv(chunk, room, deadline))

    cdef Py_ssize_t _recv(self, uint8_t *target, size_t size, deadline) except -1:
        cdef ptrdiff_t got
        cdef double due = 0 if deadline is None else deadline
        while True:
            if deadline is not None:
                self._wait(due)
            self.in_recv = True
            with nogil:
                got = wsfast_recv(self.fd, target, size)
            self.in_recv = False
            if got >= 0:
                return got
            if not wsfast_interrupted(got):
                raise OSError(-got, os.strerror(-got))
            PyErr_CheckSignals()

    cdef int _wait(self, double due) except -1:
        cdef double left
        cdef int ready
        while True:
            left = due - wsfast_now()
            self.in_recv = True
            with nogil:
                ready = wsfast_poll(self.fd, 0, _milliseconds(left))
            self.in_recv = False
            if ready > 0:
                return 0
            if ready < 0:
                if not wsfast_interrupted(ready):
                    raise OSError(-ready, os.strerror(-ready))
                PyErr_CheckSignals()
            elif left < LONGEST_POLL / 1000:
                raise TimeoutError("timeout")


cdef class Taker:
    cdef object _acquire, _release, _protocol
    cdef readonly object inbox
    cdef public Receiver receiver
    cdef public bint reading, watching, promised, held_back
    cdef public Py_ssize_t waiting, waiting_for_pong
    cdef public object stand_in_due

    def __cinit__(self, protocol, lock, inbox):
        self._protocol = protocol
        self._acquire, self._release = lock.acquire, lock.release
        self.inbox = inbox

    def receive(self, timeout=None):
        return self._take(None, timeout)

    def wait_for(self, poll, timeout=None):
        return self._take(poll, timeout)

    cdef object _take(self, poll, timeout):
        cdef list messages
        cdef bint settle = False
        cdef Py_ssize_t given = 1 if poll is None else 0
        protocol, inbox = self._protocol, self.inbox
        deadline = None if timeout is None else wsfast_now() + <double>timeout
        while True:
            self._acquire()  # with the lock, but without looking up how
            try:
                if poll is None:
                    if (self.watching or self.promised) and self.others_wait():
                        return None
                    if inbox.count:
                        return self.take()
                else:
                    found = poll()
                    if found is not None:
                        return found
                settle = protocol.unsettled
                if not settle:
                    if protocol.input_ended:
                        self.at_end()
                    if self.reading:
                        self.wait(deadline)
                        continue
                    self.reading = True
            finally:
                self._release()
            if settle:
                self.settle()
                continue
            messages = []
            try:
                messages = self._read(deadline)
            finally:
                self._acquire()
                try:
                    if len(messages) > given:
                        self.put(messages[given:])
                    self.reading = False
                    if (
                        self.waiting or self.waiting_for_pong or self.watching
                        or self.stand_in_due is None or protocol.finished
                    ):
                        self.give_back()
                finally:
                    self._release()
            if messages and given:
                return messages[0]

    cdef list _read(self, deadline):
        """The messages of the next chunk if it holds nothing else; whatever it holds else is done
        or kept."""
        cdef Receiver receiver = self.receiver
        cdef list events
        if self.held_back:
            self.handle(None)
            return []
        if receiver is None:
            receiver = self.make_receiver()
        try:
            events = receiver._receive(deadline)
        except (MemoryError, OSError) as exc:
            self.failed(exc)
            return []
        if events is None:
            self.ended()
        elif receiver.decoder.control:
            self.handle(events)
        else:
            return events
        return []


cdef int _milliseconds(double seconds) noexcept nogil:
    """Never less than asked for, or it would be asked again and again at the end."""
    if seconds <= 0:
        return 0
    if seconds >= LONGEST_POLL / 1000:
        return LONGEST_POLL
    return <int>(seconds * 1000) + 1
