#include "intel/feeds/json_feed.h"

#include "intel/feeds/json_fault.h"
#include "intel/feeds/json_records.h"
#include "intel/feeds/json_values.h"

namespace outguard::intel {

namespace {

void add_texts(const element &list, std::vector<std::string_view> &texts) {
  for_each(list, [&](const element &item) {
    if (const auto text = text_of(item); !text.empty() && texts.size() < kMaxJsonTags) {
      texts.push_back(text);
    }
  });
}

/// MISP: "Tag": [{"name": "tlp:amber"}].
void add_tag_names(const element &list, std::vector<std::string_view> &tags) {
  for_each(list, [&](const element &item) {
    if (const auto name = member(item, "name"); name && tags.size() < kMaxJsonTags) {
      tags.push_back(text_of(*name));
    }
  });
}

class MispReader {
public:
  explicit MispReader(JsonFeedVisitor &visitor) : visitor_(&visitor) {}

  void event(const object &given) {
    MispEvent event;
    for (const auto &[key, value] : given) {
      if (key == "info") {
        event.info = text_of(value);
      } else if (key == "date") {
        event.date = text_of(value);
      } else if (key == "threat_level_id") {
        event.threat_level = static_cast<int>(number_of(value).value_or(0) & 0xff);
      } else if (key == "Tag") {
        add_tag_names(value, event.tags);
      }
    }
    for (const auto &[key, value] : given) {
      if (key == "Attribute") {
        attributes(event, value, false);
      } else if (key == "Object") {
        for_each(value, [&](const element &item) {
          const auto deleted = member(item, "deleted");
          if (const auto list = member(item, "Attribute")) {
            attributes(event, *list, deleted && flag_of(*deleted));
          }
        });
      }
    }
  }

  void attributes(const MispEvent &event, const element &list, bool deleted) {
    for_each(list, [&](const element &item) {
      object given;
      if (item.get(given) == simdjson::SUCCESS) {
        attribute(event, given, deleted);
      }
    });
  }

private:
  void attribute(const MispEvent &event, const object &given, bool deleted) {
    MispAttribute attribute;
    attribute.deleted = deleted;
    for (const auto &[key, value] : given) {
      if (key == "type") {
        attribute.type = text_of(value);
      } else if (key == "value") {
        attribute.value = text_of(value);
      } else if (key == "uuid") {
        attribute.uuid = text_of(value);
      } else if (key == "comment") {
        attribute.comment = text_of(value);
      } else if (key == "first_seen") {
        attribute.first_seen = text_of(value);
      } else if (key == "last_seen") {
        attribute.last_seen = text_of(value);
      } else if (key == "to_ids") {
        attribute.to_ids = flag_of(value);
      } else if (key == "deleted") {
        attribute.deleted = attribute.deleted || flag_of(value);
      } else if (key == "Tag") {
        add_tag_names(value, attribute.tags);
      }
    }
    visitor_->on_misp(event, attribute, ++number_);
  }

  JsonFeedVisitor *visitor_;
  std::uint32_t number_ = 0;
};

StixObject stix_object(const object &given) {
  StixObject out;
  const std::pair<std::string_view, std::string_view StixObject::*> texts[] = {
      {"type", &StixObject::type},
      {"id", &StixObject::id},
      {"name", &StixObject::name},
      {"description", &StixObject::description},
      {"pattern", &StixObject::pattern},
      {"pattern_type", &StixObject::pattern_type},
      {"created", &StixObject::created},
      {"modified", &StixObject::modified},
      {"valid_from", &StixObject::valid_from},
      {"valid_until", &StixObject::valid_until},
  };
  for (const auto &[key, value] : given) {
    for (const auto &[name, place] : texts) {
      if (key == name) {
        out.*place = text_of(value);
      }
    }
    if (key == "revoked") {
      out.revoked = flag_of(value);
    } else if (key == "confidence") {
      out.confidence = number_of(value);
    } else if (key == "labels" || key == "indicator_types") {
      add_texts(value, out.labels);
    } else if (key == "object_marking_refs") {
      add_texts(value, out.markings);
    } else if (key == "definition") {
      if (const auto tlp = member(value, "tlp")) {
        out.tlp = text_of(*tlp);
      }
    }
  }
  return out;
}

template <class Take> void for_each_stix(const element &objects, Take &&take) {
  std::uint32_t number = 0;
  for_each(objects, [&](const element &item) {
    ++number;
    object given;
    if (item.get(given) == simdjson::SUCCESS) {
      take(stix_object(given), number);
    }
  });
}

JsonShape read_stix(const element &objects, JsonShape shape, JsonFeedVisitor &visitor) {
  for_each_stix(objects, [&](const StixObject &given, std::uint32_t) { visitor.note_stix(given); });
  for_each_stix(objects, [&](const StixObject &given, std::uint32_t number) {
    visitor.on_stix(given, number);
  });
  return shape;
}

/// {"Event": {...}}
bool read_event(const element &holder, MispReader &reader) {
  const auto event = member(holder, "Event");
  object given;
  if (!event || event->get(given) != simdjson::SUCCESS) {
    return false;
  }
  reader.event(given);
  return true;
}

bool read_events(const element &list, MispReader &reader) {
  bool any = false;
  for_each(list, [&](const element &item) { any = read_event(item, reader) || any; });
  return any;
}

/// {"<uuid>": {"info": ..., "timestamp": ...}, ...}
bool is_manifest(const element &root) {
  object given;
  if (root.get(given) != simdjson::SUCCESS || given.size() == 0) {
    return false;
  }
  for (const auto &[key, value] : given) {
    if (key.size() != 36 || !member(value, "timestamp")) {
      return false;
    }
  }
  return true;
}

JsonShape read_root(const element &root, JsonFeedVisitor &visitor) {
  MispReader misp(visitor);
  if (read_event(root, misp) || read_events(root, misp)) {
    return JsonShape::Misp;
  }
  if (const auto response = member(root, "response")) {
    if (const auto list = member(*response, "Attribute")) { // an answer to a search
      misp.attributes({}, *list, false);
      return JsonShape::Misp;
    }
    read_events(*response, misp);
    return JsonShape::Misp;
  }
  const auto type = member(root, "type");
  const bool bundle = type && text_of(*type) == "bundle";
  if (const auto objects = member(root, "objects"); objects && objects->is_array()) {
    return read_stix(*objects, bundle ? JsonShape::Stix : JsonShape::TaxiiEnvelope, visitor);
  }
  if (bundle || member(root, "more")) {
    return bundle ? JsonShape::Stix : JsonShape::TaxiiEnvelope; // without objects
  }
  if (member(root, "list") && member(root, "matching_attributes")) {
    return JsonShape::MispWarningList;
  }
  if (is_manifest(root)) {
    return JsonShape::MispManifest;
  }
  return read_records(root, visitor) ? JsonShape::Records : JsonShape::Unknown;
}

} // namespace

JsonOutcome read_json_feed(std::string_view text, JsonFeedVisitor &visitor) {
  JsonOutcome outcome;
  if (text.size() > kMaxJsonBytes) {
    outcome.problem = "JSON of more than 512 MiB";
    return outcome;
  }
  simdjson::dom::parser parser;
  element root;
  auto error = parser.allocate(text.size(), kMaxJsonDepth);
  if (error == simdjson::SUCCESS) {
    error = parse_document(parser, text, root);
  }
  if (error == simdjson::DEPTH_ERROR) {
    outcome.problem = "JSON nested deeper than " + std::to_string(kMaxJsonDepth);
  } else if (error != simdjson::SUCCESS && read_record_lines(text, visitor)) {
    outcome.shape = JsonShape::Records;
  } else if (error != simdjson::SUCCESS) {
    const auto fault = find_json_fault(text);
    outcome.problem = fault ? "JSON broken at offset " + std::to_string(*fault)
                            : std::string("JSON broken: ") + simdjson::error_message(error);
  } else {
    outcome.shape = read_root(root, visitor);
    if (outcome.shape == JsonShape::Unknown) {
      outcome.problem = "JSON, but neither MISP nor STIX, TAXII or a list of records";
    }
  }
  return outcome;
}

} // namespace outguard::intel
