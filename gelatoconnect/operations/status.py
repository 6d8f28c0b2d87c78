def found() -> None:
    return None
