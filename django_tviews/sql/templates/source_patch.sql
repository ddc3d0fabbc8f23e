@{keys}
@{patch}
