-- Loads Continuo on a MIDI track in a session without a window and rolls until told to stop.
-- Environment: CONTINUO_SESSION (folder to make), CONTINUO_STOP (file whose appearance ends it).
local folder = os.getenv("CONTINUO_SESSION")
local stop = os.getenv("CONTINUO_STOP")

local backend = AudioEngine:set_backend("JACK", "", "")
assert(not backend:isnil(), "no JACK backend")
local session = create_session(folder, "continuo", 48000)
assert(session, "no session")

local tracks = session:new_midi_track(
  ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1), ARDOUR.ChanCount(ARDOUR.DataType("audio"), 2),
  true, ARDOUR.PluginInfo(), nil, nil, 1, "Continuo", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
local track = tracks:front()
-- Ardour connects new tracks in a thread of its own; requests of two threads to JACK at once may mix.
ARDOUR.LuaAPI.usleep(1500000)
local plugin = ARDOUR.LuaAPI.new_plugin(session, "Continuo", ARDOUR.PluginType.VST3, "")
assert(not plugin:isnil(), "Ardour does not find Continuo: scan it first")
assert(track:add_processor_by_index(plugin, 0, nil, true) == 0, "the plugin does not go onto the track")
ARDOUR.LuaAPI.usleep(1000000)
session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
print("ROLLING")
io.flush()
for _ = 1, 600 do
  local file = io.open(stop, "r")
  if file then file:close() break end
  ARDOUR.LuaAPI.usleep(100000)
end
session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
ARDOUR.LuaAPI.usleep(300000)
close_session()
