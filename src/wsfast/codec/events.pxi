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


cdef class _AnyPiece:
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
        return self._fields() == (<_AnyPiece>other)._fields()

    def __hash__(self):
        return hash((type(self), self._fields()))

    def __repr__(self):
        return f"{type(self).__name__}({self.data!r}, text={self.text}, more={self.more})"

    def __reduce__(self):
        return type(self), self._fields()


@cython.final
cdef class Piece(_AnyPiece):
    pass


@cython.final
cdef class Compressed(_AnyPiece):
    pass


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
