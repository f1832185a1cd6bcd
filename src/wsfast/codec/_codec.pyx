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
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject
from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_release_lock,
)
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
    object PyUnicode_New(Py_ssize_t size, unsigned int most)
    void *PyUnicode_1BYTE_DATA(object text)
    void Py_XDECREF(PyObject *o)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef int get_bytes(data, Py_buffer *source) except -1:
    """The bytes of any buffer. Those that do not lie in one piece are copied, in their order."""
    try:
        PyObject_GetBuffer(data, source, PyBUF_SIMPLE)
    except (BufferError, ValueError):  # numpy raises the latter
        PyObject_GetBuffer(memoryview(data).tobytes(), source, PyBUF_SIMPLE)
    return 0


include "masking.pxi"
include "events.pxi"
include "decoder.pxi"
include "outbox.pxi"
