"""A SageMaker Studio on this machine, for the demo and the tests: a real one, small.

The SageMaker API is moto's server with the operations it lacks; each KernelGateway app is a real
``jupyter_kernel_gateway`` process; the JupyterServer app is a real JupyterLab that routes kernels
to them. Nothing here imports the rest of the package: it is used as anybody would use it, by
installing it into the JupyterServer.
"""

from __future__ import annotations
