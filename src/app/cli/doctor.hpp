// `banyan doctor`: what this host can do, which engine a guest would get, and why.
#pragma once

#include <string>

namespace banyan {

// For people, or as one JSON object.
std::string doctor_text();
std::string doctor_json();

}  // namespace banyan
