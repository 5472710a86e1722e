# banyan_room(NAME [FREESTANDING] [SMALL] [DEPS lib...] [TEST_DEPS lib...])
#
# One folder is one library: every .cpp beside the CMakeLists.txt but those ending in _test, _fuzz and _bench,
# which become the room's test program, fuzz targets and benchmarks. DEPS are the rooms it may include (the
# table in docs/architecture.md); tests/check_layers.py compares the includes with that table.
# FREESTANDING rooms are shared with the bare-metal build: no exceptions, no RTTI. What is in SMALL rooms runs seldom, or once
# before the guest, and is better small than fast: its pages stay with each VM.
function(banyan_room name)
  cmake_parse_arguments(ARG "FREESTANDING;SMALL" "" "DEPS;TEST_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  set(tests ${sources})
  set(fuzzers ${sources})
  set(benches ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")

  if(sources)
    add_library(banyan_${name} STATIC ${sources})
    target_link_libraries(banyan_${name} PUBLIC banyan_flags tl::expected ${ARG_DEPS})
    if(ARG_FREESTANDING)
      target_compile_options(banyan_${name} PRIVATE -fno-exceptions -fno-rtti)
    endif()
    if(ARG_SMALL)
      # No calls of the mathematical library, which would be mapped for the one that fmt makes.
      target_compile_options(banyan_${name} PRIVATE "$<$<CONFIG:RelWithDebInfo>:-Os;-fno-trapping-math>")
    endif()
  else()
    add_library(banyan_${name} INTERFACE)
    target_link_libraries(banyan_${name} INTERFACE banyan_flags tl::expected ${ARG_DEPS})
  endif()

  if(tests)
    add_executable(${name}_test ${tests})
    target_compile_options(${name}_test PRIVATE -O0)  # to optimise a test takes longer than to run it
    target_link_libraries(${name}_test PRIVATE banyan_${name} ${ARG_TEST_DEPS} GTest::gtest_main)
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}/ DISCOVERY_TIMEOUT 60)
  endif()
  if(BANYAN_FUZZ)
    foreach(fuzzer ${fuzzers})
      get_filename_component(target ${fuzzer} NAME_WE)
      add_executable(${target} ${fuzzer})
      target_link_libraries(${target} PRIVATE banyan_${name} ${ARG_TEST_DEPS} -fsanitize=fuzzer)
      set_property(GLOBAL APPEND PROPERTY BANYAN_FUZZERS ${target})
    endforeach()
  endif()
  if(BANYAN_BENCH AND benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE banyan_${name} ${ARG_TEST_DEPS} benchmark::benchmark_main)
  endif()
endfunction()
