cdef extern from *:
    """
    /* How an await gets its result from an object without an exception that carries it. */
    static void set_send(PyObject *instance, sendfunc send)
    {
        Py_TYPE(instance)->tp_as_async->am_send = send;
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject *self, PyObject *sent, PyObject **result) noexcept
    void set_send(object instance, sendfunc send)
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


@cython.final
@cython.freelist(16)
cdef class _Receiving:
    """A coroutine that waits for a message, and takes it: not before it is awaited, as its task may
    be cancelled before it has begun."""
    cdef Endpoint endpoint
    cdef bint iterating        # the end is that of an iteration
    cdef bint eventful         # messages are given as events
    cdef bint waiting          # it has suspended its task

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, _):
        future = self.step()
        if future is not None:
            return future
        raise StopIteration(self.given())

    def throw(self, kind, value=None, traceback=None):
        self.close()
        raise kind if value is None else value

    def close(self):
        if self.waiting:
            self.waiting = False
            self.endpoint._receiver = None

    cdef object given(self):
        message = self.endpoint.take()
        return as_event(message) if self.eventful else message

    cdef object step(self):
        """What its task is to wait for; None once there is a message."""
        cdef Endpoint endpoint = self.endpoint
        if self.waiting:
            self.waiting = False
            endpoint._receiver = None
        if endpoint.inbox is not None and endpoint.inbox.count:
            return None
        if endpoint._ending or endpoint.inbox is None:
            endpoint._check_input(self.iterating)
            if endpoint.inbox.count:  # an event that tells of the end
                return None
        if endpoint._receiver is not None:
            raise RuntimeError("another task waits for a message of this connection")
        endpoint.flush()  # whatever was held back for more to come
        future = endpoint.room.create_future()
        future._asyncio_future_blocking = True  # as when it is awaited
        endpoint._receiver = future
        self.waiting = True
        return future


cdef PySendResult wait_or_take(PyObject *self, PyObject *sent,
                               PyObject **result) except? PYGEN_ERROR:
    cdef object got = (<_Receiving>self).step()
    cdef PySendResult kind = PYGEN_NEXT
    if got is None:
        got = (<_Receiving>self).given()
        kind = PYGEN_RETURN
    result[0] = <PyObject *>got
    Py_INCREF(result[0])
    return kind


cdef _Receiving receiving(Endpoint endpoint, bint iterating, bint eventful):
    cdef _Receiving made = _Receiving.__new__(_Receiving)
    made.endpoint = endpoint
    made.iterating = iterating
    made.eventful = eventful
    return made


set_send(_Receiving.__new__(_Receiving), <sendfunc>wait_or_take)
