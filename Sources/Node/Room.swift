import Gateway
import Subprocess
import ServiceLifecycle
