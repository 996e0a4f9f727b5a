"""A small SageMaker Studio on this machine, for the demo and the tests. Its processes are real.

The SageMaker API is moto's server plus the operations that it lacks. Each KernelGateway app is a
real ``jupyter_kernel_gateway`` process. The JupyterServer app is a real JupyterLab that runs its
kernels in those apps. This folder and the rest of the package do not import each other.
"""

from __future__ import annotations
