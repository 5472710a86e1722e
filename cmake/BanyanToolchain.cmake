# Warnings, sanitizers, compiler cache and linker: what every room is built with.
add_library(banyan_flags INTERFACE)
# Processors since 2009 (docs/decisions/0030-processor-baseline.md); older ones are told by main.cpp.
target_compile_options(banyan_flags INTERFACE -march=x86-64-v2)
target_compile_options(banyan_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  -fno-strict-aliasing -fno-omit-frame-pointer)
target_include_directories(banyan_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)

# What sources include costs more than they do: several are compiled as one (docs/decisions/0012-build-time.md).
if(BANYAN_UNITY)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
  # The compiler takes them for headers, in which no class should have members of an anonymous namespace's type.
  add_compile_options(-Wno-subobject-linkage)
endif()

if(BANYAN_SANITIZE)
  add_compile_options(-fsanitize=${BANYAN_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BANYAN_SANITIZE})
  if(BANYAN_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr)  # the rooms are built without RTTI
  endif()
  if(BANYAN_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The sanitizer does not model fences, and g++ warns at each: devices order their rings with them, and what
    # a fence orders there is also ordered by the locks that the sanitizer sees.
    add_compile_options(-Wno-tsan)
  endif()
endif()

if(BANYAN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

find_program(MOLD NAMES mold)
find_program(LLD NAMES ld.lld)
if(MOLD)
  add_link_options(-fuse-ld=mold)
elseif(LLD)
  add_link_options(-fuse-ld=lld)
endif()
