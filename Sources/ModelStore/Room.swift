import GGUF
import SystemPackage
