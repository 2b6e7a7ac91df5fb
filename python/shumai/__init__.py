"""Train and call models that a Shumai server serves, from NumPy and PyTorch.

>>> import shumai
>>> model = shumai.remote_model("localhost:3000")
>>> y = model(x)
>>> model.backward(y, 2 * (y - reference) / y.size)

``shumai.torch`` has the same for PyTorch, where a plain ``loss.backward()``
trains the remote model.
"""

from ._array import Array, GradContext, bfloat16
from ._connection import Tls
from ._fetch import tfetch
from ._model import RemoteModel, remote_model
from ._requests import Ticket
from .errors import ConnectionFailed, ShumaiError, TimedOut

__version__ = "0.1.0"
__all__ = [
    "Array", "ConnectionFailed", "GradContext", "RemoteModel", "ShumaiError", "Ticket", "TimedOut", "Tls", "bfloat16",
    "remote_model", "tfetch",
]
