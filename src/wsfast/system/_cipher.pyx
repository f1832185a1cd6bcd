# cython: language_level=3, binding=True, embedsignature=False
# cython: freethreading_compatible=True, autotestdict=False, auto_pickle=False
"""TLS in memory: what each record goes through. The documentation is in _cipher.pyi.

`SSLObject` is not safe to use from two threads, and one may encrypt while another decrypts: `lock`
is held around every call on it. What is for receiving belongs to one thread at a time.
"""

import ssl

cimport cython
from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint8_t

cdef enum:
    CHUNK = 64 * 1024   # bytes of ciphertext to receive at once
    PIECE = 256 * 1024  # bytes to encrypt at once: a BIO stays as large as it has ever been

cdef object WantRead = ssl.SSLWantReadError
cdef tuple Ends = (ssl.SSLZeroReturnError, ssl.SSLEOFError)
cdef object Failure = ssl.SSLError


@cython.final
cdef class Cipher:
    def __cinit__(self, lock, tls, incoming, outgoing):
        self.lock = lock
        self.tls = tls
        self.incoming = incoming
        self.outgoing = outgoing
        self.read = tls.read
        self.write = tls.write
        self.pending = tls.pending
        self.more = outgoing.read

    def receive(self, buffer):
        cdef uint8_t[::1] target = buffer
        size = self.decrypt_into(&target[0], target.shape[0])
        return None if size == NOTHING_YET else size

    def feed(self, data):
        with self.lock:
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()

    def encode(self, data):
        cdef const uint8_t[::1] source
        cdef Py_ssize_t at = 0, size = len(data)
        with self.lock:
            if size == 0:
                return self.more()
            source = data
            if size <= PIECE:
                return self._encode(&source[0], size)
            parts = []
            while at < size:
                parts.append(self._encode(&source[at], min(size - at, <Py_ssize_t>PIECE)))
                at += PIECE
            return b"".join(parts)

    cdef bytes _encode(self, const uint8_t *data, Py_ssize_t size):
        """With the lock held."""
        cdef Py_ssize_t at = 0
        while at < size:
            at += <Py_ssize_t>self.write(
                PyMemoryView_FromMemory(<char *>data + at, size - at, PyBUF_READ)
            )
        return self.more()

    cdef Py_ssize_t decrypt_into(self, uint8_t *target, Py_ssize_t size) except -1:
        """Fills the target with what has been received; NOTHING_YET, or 0 at the end."""
        cdef Py_ssize_t got, filled = 0
        if self.failure is not None:
            raise self.failure
        if self.at_end:
            return 0
        with self.lock:
            # Asking first costs less than the exception that read() raises when it is empty.
            while filled < size and (self.incoming.pending or self.pending() or self.incoming.eof):
                view = PyMemoryView_FromMemory(<char *>target + filled, size - filled, PyBUF_WRITE)
                try:
                    got = self.read(size - filled, view)
                except WantRead:
                    break  # the rest of a record is still to come
                except Ends:
                    got = 0  # WebSocket's own close tells a truncation from an end
                except Failure as exc:
                    self.failure = exc
                    if filled:
                        return filled  # what came before the damage is good
                    raise
                if got == 0:
                    self.at_end = True
                    return filled  # the end, or what came before it
                filled += got
        return filled if filled else NOTHING_YET

    cdef uint8_t *room(self, Py_ssize_t *size) except NULL:
        """Where ciphertext is to be received."""
        if self.chunk is None:
            chunk = bytearray()
            PyByteArray_Resize(chunk, CHUNK)
            self.chunk = chunk
        size[0] = CHUNK
        return <uint8_t *>PyByteArray_AS_STRING(self.chunk)

    cdef int arrived(self, Py_ssize_t size) except -1:
        """That much has been received there; 0 at the end."""
        self.feed(PyMemoryView_FromMemory(PyByteArray_AS_STRING(self.chunk), size, PyBUF_READ))
        return 0
