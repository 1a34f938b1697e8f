# Configures PROJECT in BUILD with OPTIONS; passes if that ends with exactly one error,
# and the error matches MESSAGE.

file(REMOVE_RECURSE "${BUILD}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -S "${PROJECT}" -B "${BUILD}" -G Ninja ${OPTIONS}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
# Messages are wrapped and indented.
string(REGEX REPLACE "[ \n]+" " " text "${output}")
string(REGEX MATCHALL "CMake Error" errors "${text}")
list(LENGTH errors count)
if(status EQUAL 0 OR NOT count EQUAL 1 OR NOT text MATCHES "${MESSAGE}")
  message(FATAL_ERROR
    "expected one error that matches \"${MESSAGE}\", but got status ${status}, ${count} errors:\n${output}")
endif()
