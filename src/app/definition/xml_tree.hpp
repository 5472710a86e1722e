// A small XML document as plain values, by libxml2, which is loaded when one is read.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/result.hpp"

namespace banyan {

struct XmlElement {
    std::string name;
    std::map<std::string, std::string> attributes;
    std::string text;  // directly in it, without the space around it
    std::vector<XmlElement> children;

    // Null: there is none.
    const XmlElement* child(std::string_view wanted) const;
    // Empty: there is none.
    std::string attribute(const std::string& wanted) const;
    std::string text_of(std::string_view wanted) const;
};

// Entities are not expanded, and nothing else is read for it. Fails with ErrorCode::invalid_data,
// and with ErrorCode::unsupported where there is no libxml2; `file` is for messages.
Result<XmlElement> parse_xml(std::string_view file, std::string_view text);

}  // namespace banyan
