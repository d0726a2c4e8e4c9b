import ArgumentParser
print("skein")
