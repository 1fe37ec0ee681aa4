# add_module(NAME DIR folder [NO_EXCEPTIONS] DEPENDS ... [LIBS ...])
#
# One static library a folder. Its sources are all *.cpp of the folder but *_test.cpp, *_fuzzer.cpp
# and main.cpp; the tests become one program NAME_test, each fuzzer a program of its own. DEPENDS
# mirrors the "May include:" line of the folder's README; tests/style checks the includes themselves.
function(add_module name)
  cmake_parse_arguments(arg "NO_EXCEPTIONS" "DIR" "DEPENDS;LIBS;TEST_DEPENDS" ${ARGN})
  set(dir ${CMAKE_SOURCE_DIR}/src/${arg_DIR})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cpp)
  file(GLOB tests CONFIGURE_DEPENDS ${dir}/*_test.cpp)
  file(GLOB fuzzers CONFIGURE_DEPENDS ${dir}/*_fuzzer.cpp)
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzzer|/main)\\.cpp$")

  if(sources)
    add_library(${name} STATIC ${sources})
    set(scope PUBLIC)
    if(arg_NO_EXCEPTIONS)
      target_compile_options(${name} PRIVATE -fno-exceptions)
      target_compile_definitions(${name} PRIVATE _GLIBCXX_ASSERTIONS)
    endif()
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} ${scope} outguard_flags tl::expected ${arg_DEPENDS} ${arg_LIBS})

  if(NOT OUTGUARD_DEVELOPER_MODE)
    return()
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE
      ${name} ${arg_TEST_DEPENDS} GTest::gmock GTest::gtest_main Threads::Threads)
    # One ctest entry a module: a report a line, and no run-time discovery of thousands of names.
    add_test(NAME unit.${name} COMMAND ${name}_test --gtest_brief=1)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
  foreach(file ${fuzzers})
    get_filename_component(fuzzer ${file} NAME_WE)
    add_fuzzer(${fuzzer} ${file} ${name} ${arg_TEST_DEPENDS})
  endforeach()
endfunction()

# A fuzzer links libFuzzer in the fuzz preset, and in every other build a small driver that runs its
# seeds once, so that a fuzzer that no longer builds or a seed that crashes fails the ordinary tests.
function(add_fuzzer name file)
  if(OUTGUARD_SANITIZE MATCHES "fuzzer")
    add_executable(${name} ${file})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${file})
    target_link_libraries(${name} PRIVATE fuzz_driver)
    add_test(NAME seeds.${name} COMMAND ${name} --self-seeds)
    set_tests_properties(seeds.${name} PROPERTIES LABELS seeds TIMEOUT 120)
  endif()
  target_link_libraries(${name} PRIVATE ${ARGN})
endfunction()
