# intel/guards/suffix_filter_table.h, made when configuring, so that checks without a build have it.
# Made again when the list changes; a libpsl of another list is noticed when the program runs.
set(suffix_filter_tool ${CMAKE_SOURCE_DIR}/tools/make_suffix_filter)
set(public_suffix_list /usr/share/publicsuffix/public_suffix_list.dat)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${suffix_filter_tool})
if(EXISTS ${public_suffix_list})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${public_suffix_list})
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND ${Python3_EXECUTABLE} ${suffix_filter_tool}
    ${CMAKE_BINARY_DIR}/generated/intel/guards/suffix_filter_table.h
  OUTPUT_VARIABLE suffix_filter_said OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
message(STATUS "${suffix_filter_said}")
