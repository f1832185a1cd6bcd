"""Messages as applications know them that speak ASGI: as events, which are dictionaries."""


cdef object as_event(message):
    """What is no message is an event already."""
    if isinstance(message, str):
        return {"type": "websocket.receive", "text": message}
    if isinstance(message, bytes):
        return {"type": "websocket.receive", "bytes": message}
    return message


cdef object message_of(dict event):
    """None if there is nothing in it."""
    data = event.get("bytes")
    if data is not None:
        if isinstance(data, str):
            raise TypeError("bytes: a bytes-like object is needed, not str")
        return data
    data = event.get("text")
    if data is not None and not isinstance(data, str):
        raise TypeError(f"text: str is needed, not {type(data).__name__}")
    return data
