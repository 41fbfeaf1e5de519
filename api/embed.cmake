# Writes a C source file that holds a file byte for byte, without any tool but CMake:
#   cmake -DINPUT=openapi.yaml -DOUTPUT=openapi_yaml.c -DHEADER=api/openapi_yaml.h -DNAME=openapi_yaml -P embed.cmake
# An array and not a string: compilers need not take string literals of this length.
file(READ "${INPUT}" hex HEX)
file(SHA256 "${INPUT}" sha256)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"

const unsigned char ${NAME}[] = {
${bytes}
};
const size_t ${NAME}_bytes = sizeof ${NAME};
const char ${NAME}_sha256[] = \"${sha256}\";
")
