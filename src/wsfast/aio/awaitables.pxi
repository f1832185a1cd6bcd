cdef extern from *:
    """
    /* How an await gets its result from an object without an exception that carries it. */
    static void set_send(PyObject *instance, sendfunc send)
    {
        Py_TYPE(instance)->tp_as_async->am_send = send;
    }
    """
    ctypedef int PySendResult
    ctypedef PySendResult (*sendfunc)(PyObject *self, PyObject *sent, PyObject **result)
    void set_send(object instance, sendfunc send)
    PySendResult PYGEN_RETURN
    void Py_INCREF(PyObject *o)


@cython.final
@cython.freelist(16)
cdef class _Ready:
    """A coroutine that has come to its end: awaiting it gives `value` and suspends nobody. What
    could be done at once has been done by then, whether it is awaited or not."""
    cdef object value

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.value)

    def send(self, _):
        raise StopIteration(self.value)

    def throw(self, kind, value=None, traceback=None):
        raise kind if value is None else value

    def close(self):
        pass


cdef PySendResult give_value(PyObject *self, PyObject *sent, PyObject **result) noexcept:
    result[0] = <PyObject *>(<_Ready>self).value
    Py_INCREF(result[0])
    return PYGEN_RETURN


cdef _Ready ready(value):
    cdef _Ready made = _Ready.__new__(_Ready)
    made.value = value
    return made


cdef _Ready DONE = ready(None)
set_send(DONE, give_value)
