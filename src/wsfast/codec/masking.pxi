def apply_mask(data, key):
    cdef uint32_t mask_key = read_key(key)
    cdef Py_buffer source
    get_bytes(data, &source)
    try:
        masked = PyBytes_FromStringAndSize(NULL, source.len)
        wsf_mask(<uint8_t *>PyBytes_AS_STRING(masked), <uint8_t *>source.buf, source.len, mask_key)
    finally:
        PyBuffer_Release(&source)
    return masked


def apply_mask_in_place(data, key):
    cdef uint32_t mask_key = read_key(key), next_key
    cdef Py_buffer target
    cdef uint8_t *at
    if type(data) is bytearray:
        with cython.critical_section(data):
            at = <uint8_t *>PyByteArray_AS_STRING(data)
            next_key = wsf_mask(at, at, PyByteArray_GET_SIZE(data), mask_key)
    else:
        PyObject_GetBuffer(data, &target, PyBUF_WRITABLE)
        next_key = wsf_mask(<uint8_t *>target.buf, <uint8_t *>target.buf, target.len, mask_key)
        PyBuffer_Release(&target)
    if next_key == mask_key and type(key) is bytes:
        return key  # as most often: a new object would take longer than a short mask
    return (<char *>&next_key)[:4]


cdef uint32_t read_key(key) except? 0:
    cdef uint32_t mask_key
    cdef Py_buffer view
    if type(key) is bytes and PyBytes_GET_SIZE(key) == 4:
        memcpy(&mask_key, PyBytes_AS_STRING(key), 4)
        return mask_key
    get_bytes(key, &view)
    try:
        if view.len != 4:
            raise ValueError(f"key: a masking key has 4 bytes, not {view.len}")
        memcpy(&mask_key, view.buf, 4)
    finally:
        PyBuffer_Release(&view)
    return mask_key


def implementation():
    return wsf_mask_implementation().decode()


def implementations():
    names = []
    cdef const char *name = wsf_mask_available(0)
    while name != NULL:
        names.append(name.decode())
        name = wsf_mask_available(len(names))
    return names


def _select_implementation():
    """Chooses the masking code once, at import: the best one, or what the environment asks for."""
    forced = os.environ.get("WSFAST_IMPLEMENTATION")
    if not forced:
        wsf_mask_select(NULL)
    elif wsf_mask_select(os.fsencode(forced)) != 0:
        raise ImportError(
            f"WSFAST_IMPLEMENTATION={forced}: this processor runs {', '.join(implementations())}"
        )


_select_implementation()

# How often this process has come out of a fork(): keys drawn before must not be used after it.
cdef unsigned int forks = 0


def _forked():
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
