"""What tests of the pages share."""


def text_of(answer, status=200):
    """The text of a page with that status."""
    assert answer.status_code == status, answer.text
    return answer.text


def multipart(**fields):
    """A form as a browser sends it."""
    head = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n'
    body = "".join(f"{head.format(name)}{value}\r\n" for name, value in fields.items()) + "--x--\r\n"
    return {"data": body.encode("utf-8", "surrogatepass"), "content_type": "multipart/form-data; boundary=x"}
