# What the drivers' own extensions use of the cipher.
from libc.stdint cimport uint8_t

cdef enum:
    NOTHING_YET = -2  # more has to be received before there is anything


cdef class Cipher:
    cdef object lock, tls, incoming, outgoing, failure
    cdef object read, write, pending, more
    cdef bytearray chunk       # where ciphertext is received
    cdef readonly bint at_end

    cdef bytes _encode(self, const uint8_t *data, Py_ssize_t size)
    cdef Py_ssize_t decrypt_into(self, uint8_t *target, Py_ssize_t size) except -1
    cdef uint8_t *room(self, Py_ssize_t *size) except NULL
    cdef int arrived(self, Py_ssize_t size) except -1
