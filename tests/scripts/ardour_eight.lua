-- Tracks with Continuo, or the same without it, in a session without a window; rolls until told to stop.
-- Environment: CONTINUO_SESSION (folder to make), CONTINUO_STOP (file whose appearance ends it), CONTINUO_TRACKS,
-- CONTINUO_PLUGIN (1 or 0).
local folder = os.getenv("CONTINUO_SESSION")
local stop = os.getenv("CONTINUO_STOP")
local count = tonumber(os.getenv("CONTINUO_TRACKS"))

local backend = AudioEngine:set_backend("JACK", "", "")
assert(not backend:isnil(), "no JACK backend")
local session = create_session(folder, "continuo", 48000)
assert(session, "no session")

local tracks = session:new_midi_track(
  ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1), ARDOUR.ChanCount(ARDOUR.DataType("audio"), 2),
  true, ARDOUR.PluginInfo(), nil, nil, count, "Continuo", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
-- Ardour connects new tracks in a thread of its own; requests of two threads to JACK at once may mix.
ARDOUR.LuaAPI.usleep(3000000)
if os.getenv("CONTINUO_PLUGIN") == "1" then
  for track in tracks:iter() do
    local plugin = ARDOUR.LuaAPI.new_plugin(session, "Continuo", ARDOUR.PluginType.VST3, "")
    assert(not plugin:isnil(), "Ardour does not find Continuo: scan it first")
    assert(track:add_processor_by_index(plugin, 0, nil, true) == 0, "the plugin does not go onto the track")
    ARDOUR.LuaAPI.usleep(500000)
  end
end
ARDOUR.LuaAPI.usleep(2000000)
session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
print("ROLLING")
io.flush()
while true do
  local file = io.open(stop, "r")
  if file then file:close() break end
  ARDOUR.LuaAPI.usleep(200000)
end
session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
ARDOUR.LuaAPI.usleep(2000000)
close_session()
