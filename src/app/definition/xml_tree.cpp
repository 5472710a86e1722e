#include "app/definition/xml_tree.hpp"

#include <algorithm>
#include <dlfcn.h>
#include <fmt/format.h>
#include <libxml/parser.h>
#include <memory>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

// What is used of libxml2.
class LibXml {
public:
    // Null: it is not installed, or lacks something.
    static const LibXml* get() {
        static const LibXml library;
        return library.complete_ ? &library : nullptr;
    }

    decltype(&::xmlReadMemory) read = nullptr;
    decltype(&::xmlFreeDoc) free = nullptr;
    decltype(&::xmlDocGetRootElement) root = nullptr;
    decltype(&::xmlGetLastError) last_error = nullptr;

private:
    LibXml() {
        void* const library = ::dlopen("libxml2.so.2", RTLD_NOW | RTLD_LOCAL);
        complete_ = library != nullptr && find(library, "xmlReadMemory", read) &&
                    find(library, "xmlFreeDoc", free) &&
                    find(library, "xmlDocGetRootElement", root) &&
                    find(library, "xmlGetLastError", last_error);
    }
    template <class Function>
    static bool find(void* library, const char* name, Function& function) {
        // SAFETY: libxml2's headers, which come with it, say that the symbol is of this type.
        function = reinterpret_cast<Function>(::dlsym(library, name));
        return function != nullptr;
    }

    bool complete_ = false;
};

std::string text_from(const xmlChar* text) {
    // SAFETY: libxml2's characters are bytes of UTF-8.
    return text != nullptr ? reinterpret_cast<const char*>(text) : "";
}

std::string trimmed(const std::string& text) {
    constexpr const char* kSpace = " \t\r\n";
    const size_t first = text.find_first_not_of(kSpace);
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool is_text(const xmlNode& node) {
    return node.type == XML_TEXT_NODE || node.type == XML_CDATA_SECTION_NODE;
}

std::string text_in(const xmlNode* first) {
    std::string text;
    for (const xmlNode* node = first; node != nullptr; node = node->next) {
        if (is_text(*node)) text += text_from(node->content);
    }
    return text;
}

// As deep as libxml2 lets a document be: 256.
XmlElement element_of(const xmlNode& node) {
    XmlElement element;
    element.name = text_from(node.name);
    element.text = trimmed(text_in(node.children));
    for (const xmlAttr* one = node.properties; one != nullptr; one = one->next)
        element.attributes[text_from(one->name)] = text_in(one->children);
    for (const xmlNode* one = node.children; one != nullptr; one = one->next) {
        if (one->type == XML_ELEMENT_NODE) element.children.push_back(element_of(*one));
    }
    return element;
}

}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
    const auto found = std::ranges::find(children, wanted, &XmlElement::name);
    return found != children.end() ? &*found : nullptr;
}

std::string XmlElement::attribute(const std::string& wanted) const {
    const auto found = attributes.find(wanted);
    return found != attributes.end() ? found->second : std::string();
}

std::string XmlElement::text_of(std::string_view wanted) const {
    const XmlElement* const found = child(wanted);
    return found != nullptr ? found->text : std::string();
}

Result<XmlElement> parse_xml(std::string_view file, std::string_view text) {
    const LibXml* const xml = LibXml::get();
    if (xml == nullptr) {
        return fail(ErrorCode::unsupported,
                    fmt::format("read {}: there is no libxml2 here; install the package libxml2",
                                quote_name(file)));
    }
    constexpr int kOptions = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
    const std::unique_ptr<xmlDoc, decltype(xml->free)> document(
        xml->read(text.data(), static_cast<int>(text.size()), nullptr, nullptr, kOptions),
        xml->free);
    const xmlNode* const root = document != nullptr ? xml->root(document.get()) : nullptr;
    if (root == nullptr) {
        const auto* const error = xml->last_error();
        return fail(ErrorCode::invalid_data,
                    fmt::format("{} line {}: that is no XML; give a definition of a domain, as "
                                "virsh dumpxml writes it",
                                quote_name(file), error != nullptr ? error->line : 0));
    }
    return element_of(*root);
}

}  // namespace banyan
