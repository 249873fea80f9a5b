"""The Socket.IO face: guards, connections, handlers, rooms. The only importer of Socket.IO."""
