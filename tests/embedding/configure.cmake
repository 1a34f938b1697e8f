# Configures PROJECT in BUILD with OPTIONS. Passes if that ends
#   with exactly one error, which matches ERROR, if that is given;
#   otherwise well, with the warnings WARNINGS and no others, a list of one regular
#   expression for each. What LibTorch's own configuration warns of does not count.
#
# COMMAND_OF names a CUDA source. The command that compiles it has to match each of HAS,
# and not LACKS, and the compiler has to accept it with SYNTAX for -c: --dryrun -c looks
# at the options alone, -E hands them on to the host compiler.

file(REMOVE_RECURSE "${BUILD}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -S "${PROJECT}" -B "${BUILD}" -G Ninja
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON ${OPTIONS}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)

# Messages are wrapped and indented.
string(REPLACE ";" "," text "${output}")
string(REGEX REPLACE "[ \n]+" " " text "${text}")
string(REGEX MATCHALL "CMake Error" errors "${text}")
list(LENGTH errors error_count)
if(DEFINED ERROR)
  if(status EQUAL 0 OR NOT error_count EQUAL 1 OR NOT text MATCHES "${ERROR}")
    message(FATAL_ERROR "expected one error that matches \"${ERROR}\", but got status "
      "${status}, ${error_count} errors:\n${output}")
  endif()
  return()
endif()
if(NOT status EQUAL 0)
  message(FATAL_ERROR "configuring failed:\n${output}")
endif()

string(REGEX REPLACE "CMake (Deprecation )?Warning (\\(dev\\) )?at [^ ]*/share/cmake/(Torch|Caffe2)/" "" text "${text}")
string(REGEX MATCHALL "CMake (Deprecation )?Warning" warnings "${text}")
list(LENGTH warnings count)
list(LENGTH WARNINGS expected_count)
foreach(warning IN LISTS WARNINGS)
  if(NOT text MATCHES "CMake Warning [^:]*:[^:]*: ${warning}")
    message(FATAL_ERROR "expected a warning that matches \"${warning}\", but got:\n${output}")
  endif()
endforeach()
if(NOT count EQUAL expected_count)
  message(FATAL_ERROR "expected ${expected_count} warnings, but got ${count}:\n${output}")
endif()

if(DEFINED COMMAND_OF)
  file(STRINGS "${BUILD}/compile_commands.json" command
    REGEX "\"command\": .*/${COMMAND_OF}( |'|\\\\\")")
  string(REGEX REPLACE "^ *\"command\": \"(.*)\",?$" "\\1" command "${command}")
  string(REPLACE "\\\"" "\"" command "${command}")
  string(REPLACE "\\\\" "\\" command "${command}")
  foreach(part IN LISTS HAS)
    if(NOT command MATCHES "${part}")
      message(FATAL_ERROR "the command lacks \"${part}\":\n${command}\n${output}")
    endif()
  endforeach()
  if(DEFINED LACKS AND command MATCHES "${LACKS}")
    message(FATAL_ERROR "the command has \"${LACKS}\":\n${command}\n${output}")
  endif()
  string(REPLACE " -c " " ${SYNTAX} " command "${command} ")
  separate_arguments(command UNIX_COMMAND "${command}")
  execute_process(COMMAND ${command} WORKING_DIRECTORY "${BUILD}"
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    list(JOIN command " " command)
    message(FATAL_ERROR "${command}\nfailed:\n${errors}\n${output}")
  endif()
endif()
